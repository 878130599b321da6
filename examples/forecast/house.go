package main

import (
	"math"
	"math/rand/v2"
)

// The house. Two rooms, a living room L and a bedroom B, are two nodes each: the
// air with the furniture at temperature T, and the walls at M, which nobody
// measures and which take days to warm. Water at temperature R carries the heat
// from a boiler to both. Heat flows in kW through conductances G in kW/K; S is the
// sun in kW/m², O the temperature outdoors:
//
//	C_T dT/dt = G_M (M-T) + G_R (R-T) + G_O (O-T) + G_LB (T'-T) + A*S + people
//	C_M dM/dt = G_M (T-M) + G_W (O-M)
//	C_R dR/dt = boiler - Σ G_R (R-T)
//
// What makes it hard to forecast:
//
//   - The thermostat in the living room is a switch with hysteresis: the boiler
//     starts half a kelvin below what is set, and stops half a kelvin above it.
//     By night less is set than by day.
//   - Above 23 °C the blinds of the living room come down, until it has 22 °C.
//   - From 7:00 to 7:30 the window of the bedroom is open.
//   - Clouds, and days that are warmer or colder than the season, are
//     Ornstein-Uhlenbeck processes: dX = -X/τ dt + σ√(2/τ) dW, of deviation σ.
//
// It is integrated by Euler's method in steps of a minute. A row is written every
// 15 minutes: instantaneous temperatures with the noise of a sensor, and means of
// sun and boiler. Now and then, but not on the last day, the recorder
// fails for some hours.
//
// Temperatures of buildings are commonly modelled so: Bacher and Madsen 2011,
// "Identifying suitable models for the heat dynamics of buildings". The numbers
// are made up.
const (
	minutes    = 15                // between rows
	rowsPerDay = 24 * 60 / minutes // the season of the house
)

// A room is the constants of a room.
type room struct {
	cAir, cWall             float64 // kWh/K
	gWall, gOut, gWater, gO float64 // kW/K: air to walls, walls to outdoors, water to air, air to outdoors
	window                  float64 // m² of sun that comes in
}

var (
	living  = room{cAir: .9, cWall: 9, gWall: .5, gOut: .06, gWater: .11, gO: .03, window: 3}
	bedroom = room{cAir: .5, cWall: 5, gWall: .35, gOut: .05, gWater: .06, gO: .02, window: 1}
)

const (
	cWater     = .2  // kWh/K
	gDoor      = .06 // kW/K between the rooms
	gOpen      = .25 // kW/K through an open window
	boilerKW   = 9.
	maxWater   = 70. // °C at which the boiler stops
	hysteresis = .5  // K
)

// air returns dT/dt in K/h of a room at temperature T, with walls at M, water at R
// and the other room at other, that gains kW.
func (r room) air(T, M, R, outdoor, gO, other, gain float64) float64 {
	return (r.gWall*(M-T) + r.gWater*(R-T) + gO*(outdoor-T) + gDoor*(other-T) + gain) / r.cAir
}

// wall returns dM/dt in K/h.
func (r room) wall(T, M, outdoor float64) float64 {
	return (r.gWall*(T-M) + r.gOut*(outdoor-M)) / r.cWall
}

// ou moves an Ornstein-Uhlenbeck process of deviation 1 on by h hours.
func ou(x *float64, h, tau float64, rnd *rand.Rand) {
	*x += -*x/tau*h + math.Sqrt(2*h/tau)*rnd.NormFloat64()
}

// house simulates so many days from the middle of October on.
func house(days int, seed int64) *table {
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	t := &table{name: "house", columns: []string{"outdoor_C", "sun_W_m2", "boiler_kW", "bedroom_C", "living_C"}, target: 4, period: rowsPerDay}
	const h = 1. / 60 // hours
	var (
		TL, TB, ML, MB, R = 20., 19., 19., 18., 30.
		weather, cloud    float64
		people            controls
		down              int // rows until the recorder works again
	)
	for m := range days * 24 * 60 {
		day := float64(m) / (24 * 60)
		hour := float64(m%(24*60)) / 60

		ou(&weather, h, 60, rnd)
		ou(&cloud, h, 5, rnd)
		outdoor, sun := sky(day, hour, weather, cloud)
		power := people.heat(hour, TL, R)
		gainL, gainB, gOB := people.use(hour, TL, sun)

		dTL := living.air(TL, ML, R, outdoor, living.gO, TB, gainL)
		dTB := bedroom.air(TB, MB, R, outdoor, gOB, TL, gainB)
		dML, dMB := living.wall(TL, ML, outdoor), bedroom.wall(TB, MB, outdoor)
		dR := (power - living.gWater*(R-TL) - bedroom.gWater*(R-TB)) / cWater
		TL, TB, ML, MB, R = TL+h*dTL, TB+h*dTB, ML+h*dML, MB+h*dMB, R+h*dR

		if m%minutes == 0 {
			t.data = append(t.data, make([]float64, len(t.columns))...)
		}
		row := t.data[len(t.data)-len(t.columns):]
		row[1] += 1000 * sun / minutes // W/m²
		row[2] += power / minutes
		if m%minutes < minutes-1 {
			continue
		}
		row[0] = outdoor + .1*rnd.NormFloat64()
		row[3] = TB + .03*rnd.NormFloat64()
		row[4] = TL + .03*rnd.NormFloat64()
		if down == 0 && rnd.Float64() < 1./(10*rowsPerDay) {
			down = 2 + rnd.IntN(rowsPerDay/2)
		}
		if down > 0 && m < (days-1)*24*60 {
			down--
			for i := range row {
				row[i] = math.NaN()
			}
		}
	}
	return t
}

// sky returns the temperature outdoors and the sun in kW/m² from the deviations of the
// weather and the clouds.
func sky(day, hour, weather, cloud float64) (outdoor, sun float64) {
	year := math.Cos(2 * math.Pi * (day - 92) / 365) // 1 in the middle of January
	cover := 1 / (1 + math.Exp(-2*cloud))
	daylight := 12 - 4*year // hours
	sun = max(0, math.Cos(math.Pi*(hour-12.5)/daylight)) * (.55 - .25*year) * (1 - .85*cover)
	if math.Abs(hour-12.5) > daylight/2 {
		sun = 0
	}
	outdoor = 9 - 8*year + 3.5*weather - (1+3*(1-cover))*math.Cos(2*math.Pi*(hour-3)/24)
	return outdoor, sun
}

// controls are what thermostats and people have switched.
type controls struct {
	boiler, blinds bool
	hot            bool // the boiler waits for the water to cool
}

// heat returns the power of the boiler, from the temperatures of the living room and of
// the water.
func (c *controls) heat(hour, TL, R float64) (power float64) {
	set := 18.
	if between(hour, 6, 22) {
		set = 21
	}
	switch {
	case TL < set-hysteresis:
		c.boiler = true
	case TL > set+hysteresis:
		c.boiler = false
	}
	switch {
	case R > maxWater:
		c.hot = true
	case R < maxWater-10:
		c.hot = false
	}
	if c.boiler && !c.hot {
		power = boilerKW
	}
	return power
}

// use returns what warms the rooms besides, and what the bedroom loses to the outside.
func (c *controls) use(hour, TL, sun float64) (gainL, gainB, gOB float64) {
	switch {
	case TL > 23:
		c.blinds = true
	case TL < 22:
		c.blinds = false
	}
	gainL, gainB = living.window*sun, bedroom.window*sun
	if c.blinds {
		gainL *= .2
	}
	if between(hour, 17, 22) {
		gainL += .25
	} else if !between(hour, 6, 17) {
		gainB += .15
	}
	gOB = bedroom.gO
	if between(hour, 7, 7.5) {
		gOB += gOpen
	}
	return gainL, gainB, gOB
}

func between(hour, from, to float64) bool { return hour >= from && hour < to }
