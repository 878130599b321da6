// Runs LSTM(1,H) or GRU(1,H) and Dense(H,1) of RTNeural for the command in the directory above.
//
// Compiled with RTNEURAL_USE_EIGEN or RTNEURAL_USE_XSIMD. It answers what it is asked
// on the standard input, one line each; floats follow their line in the machine's own
// byte order:
//
//     load CELL H T and the floats of weight_ih, weight_hh, bias_ih, bias_hh, of
//     weight and bias of the Dense layer, in PyTorch's order, and of x [T]
//         -> ok and the floats of y [T] from a zero state
//     time CELL H N: blocks of those T samples for N ns or longer
//         -> nanoseconds and samples
//
// An answer that begins otherwise says what is wrong.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <RTNeural/RTNeural.h>

namespace
{
using Matrix = std::vector<std::vector<float>>;

bool read(std::vector<float>& v, size_t n)
{
    v.resize(n);
    return std::fread(v.data(), sizeof(float), n, stdin) == n;
}

Matrix rows(const std::vector<float>& v, size_t columns)
{
    Matrix m;
    for(size_t i = 0; i < v.size(); i += columns)
        m.emplace_back(v.begin() + i, v.begin() + i + columns);
    return m;
}

// What the compiler cannot see through: it calls a block, not a sample.
struct Network
{
    virtual ~Network() = default;
    virtual int gates() const = 0;
    virtual void load(const nlohmann::json& weights) = 0;
    virtual void block() = 0;
    std::vector<float> x, y;
};

template <int H>
using LSTM = RTNeural::LSTMLayerT<float, 1, H>;
template <int H>
using GRU = RTNeural::GRULayerT<float, 1, H>;

template <template <int> class Layer, int H>
struct NetworkOf : Network
{
    static constexpr bool lstm = std::is_same<Layer<H>, LSTM<H>>::value;
    RTNeural::ModelT<float, 1, 1, Layer<H>, RTNeural::DenseT<float, H, 1>> model;

    int gates() const override { return lstm ? 4 : 3; }

    void load(const nlohmann::json& weights) override
    {
        if constexpr(lstm)
            RTNeural::torch_helpers::loadLSTM<float>(weights, "rnn.", model.template get<0>());
        else
            RTNeural::torch_helpers::loadGRU<float>(weights, "rnn.", model.template get<0>());
        RTNeural::torch_helpers::loadDense<float>(weights, "dense.", model.template get<1>());
        model.reset();
    }

    void block() override
    {
        for(size_t t = 0; t < x.size(); ++t)
            y[t] = model.forward(&x[t]);
    }
};

using Networks = std::map<std::pair<std::string, int>, std::unique_ptr<Network>>;

template <int... H>
Networks all()
{
    Networks n;
    (n.emplace(std::make_pair("LSTM", H), std::make_unique<NetworkOf<LSTM, H>>()), ...);
    (n.emplace(std::make_pair("GRU", H), std::make_unique<NetworkOf<GRU, H>>()), ...);
    return n;
}

bool load(Network& n, size_t H, size_t T)
{
    const size_t G = n.gates();
    std::vector<float> wIH, wHH, bIH, bHH, w, b;
    if(!read(wIH, G * H) || !read(wHH, G * H * H) || !read(bIH, G * H) || !read(bHH, G * H) || !read(w, H) || !read(b, 1) || !read(n.x, T))
        return false;
    nlohmann::json weights;
    weights["rnn.weight_ih_l0"] = rows(wIH, 1);
    weights["rnn.weight_hh_l0"] = rows(wHH, H);
    weights["rnn.bias_ih_l0"] = bIH;
    weights["rnn.bias_hh_l0"] = bHH;
    weights["dense.weight"] = rows(w, H);
    weights["dense.bias"] = b;
    n.load(weights);
    n.y.resize(T);
    n.block();
    std::printf("ok\n");
    std::fwrite(n.y.data(), sizeof(float), T, stdout);
    return true;
}

void time(Network& n, long long atLeast)
{
    n.block(); // what others left in the caches is not its fault
    using clock = std::chrono::steady_clock;
    const auto start = clock::now();
    long long taken = 0, samples = 0;
    for(; taken < atLeast; samples += n.x.size())
    {
        n.block();
        taken = std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now() - start).count();
    }
    std::printf("%lld %lld\n", taken, samples);
}
}

int main()
{
    const auto networks = all<HIDDEN>();
    char op[8], cell[8];
    int H;
    long long n;
    while(std::scanf("%7s %7s %d %lld", op, cell, &H, &n) == 4)
    {
        std::getchar(); // the end of the line
        const auto found = networks.find({ cell, H });
        if(found == networks.end() || n < 1)
            std::printf("there is no %s of %d units for %lld\n", cell, H, n);
        else if(op == std::string("load") && !load(*found->second, H, n))
            return 1;
        else if(op == std::string("time"))
            time(*found->second, n);
        std::fflush(stdout);
    }
}
