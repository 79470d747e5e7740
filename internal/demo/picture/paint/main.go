// Command paint makes the picture that the demonstration sends: a lake between
// mountains at sunrise, computed from noise. Its output is committed as
// lake.jpg; run "go generate ./internal/demo/picture" to make it anew.
package main

import (
	"image"
	"image/color"
	"image/jpeg"
	"log"
	"math"
	"os"
)

const (
	wide, high = 2400, 1600
	horizon    = 0.60 // where the water begins, as a part of the height
)

func main() {
	f, err := os.Create("lake.jpg")
	if err != nil {
		log.Fatal(err)
	}
	if err := jpeg.Encode(f, paint(wide, high), &jpeg.Options{Quality: 93}); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

// rgb is a colour of light, each part from 0 to 1.
type rgb struct{ r, g, b float64 }

func mix(a, b rgb, t float64) rgb {
	t = min(max(t, 0), 1)
	return rgb{a.r + (b.r-a.r)*t, a.g + (b.g-a.g)*t, a.b + (b.b-a.b)*t}
}

func (c rgb) scale(k float64) rgb { return rgb{c.r * k, c.g * k, c.b * k} }

func hex(n uint32) rgb {
	return rgb{float64(n>>16) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}
}

var (
	zenith, middle, low = hex(0x27406b), hex(0xc9879a), hex(0xffd9a0)
	far, near           = hex(0xc7909c), hex(0x1a2437)
	sunX, sunY          = 0.63, 0.46
)

// ridge is one line of mountains, from the farthest to the nearest.
type ridge struct {
	base, tall, freq, sharp float64
	depth                   float64 // 0 far, 1 near
	seed                    uint32
}

var ridges = []ridge{
	{0.50, 0.20, 2.2, 1.6, 0.10, 11},
	{0.535, 0.16, 3.1, 1.4, 0.34, 23},
	{0.565, 0.12, 4.3, 1.2, 0.60, 37},
	{0.60, 0.10, 6.0, 1.0, 0.86, 53},
}

// crest is the height of a ridge at x: sharp sums of folded noise.
func (r ridge) crest(x float64) float64 {
	h, amp, freq := 0.0, 0.5, r.freq
	for range 8 {
		n := 1 - math.Abs(2*noise(x*freq, float64(r.seed), r.seed)-1)
		h += amp * math.Pow(n, r.sharp)
		amp, freq = amp*0.48, freq*2.07
	}
	if r.depth > 0.8 { // trees
		h += 0.10 * math.Abs(noise(x*170, 3, r.seed)-0.3)
	}
	return r.base - r.tall*(h-0.28)
}

// land is what is seen above the water line, at a place from 0 to 1.
func land(x, y float64) rgb {
	c := sky(x, y)
	for _, r := range ridges {
		top := r.crest(x)
		if y < top {
			continue
		}
		body := mix(far, near, r.depth)
		rough := fbm(x*60, y*90, r.seed+7, 5) - 0.5
		body = body.scale(1 + 0.55*rough*(0.4+r.depth))
		// The sun behind draws a rim, and mist lies in the valleys.
		rim := math.Exp(-(y-top)*90) * math.Exp(-math.Abs(x-sunX)*3.2)
		body = mix(body, low, 0.55*rim*(1-0.5*r.depth))
		mist := math.Pow(min((y-top)/(horizon-top+1e-6), 1), 2) * (0.75 - 0.55*r.depth) * (0.6 + 0.8*fbm(x*5, y*22, r.seed+9, 4))
		c = mix(body, mix(hex(0xf0b9a0), hex(0x8d87a3), r.depth), mist)
	}
	return c
}

func sky(x, y float64) rgb {
	c := mix(zenith, middle, y/0.40)
	c = mix(c, low, math.Pow(max(y-0.12, 0)/0.46, 1.5))
	d := math.Hypot((x-sunX)*1.5, y-sunY)
	c = mix(c, hex(0xfff1cf), 0.85*math.Exp(-d*7)+0.35*math.Exp(-d*2.2))
	if d < 0.034 {
		c = mix(c, hex(0xfffbea), (0.034-d)/0.004)
	}
	cloud := fbm(x*3.2+2*y, y*13, 71, 7)
	veil := min(max((cloud-0.50)*3.4, 0), 1) * math.Exp(-math.Pow((y-0.24)/0.17, 2))
	lit := mix(hex(0x7c5f7e), hex(0xffc9a3), 0.25+0.9*math.Exp(-d*2.6)+0.5*(cloud-0.5))
	c = mix(c, lit, 0.85*veil)
	if y < 0.3 { // the last stars
		if s := hash(uint32(int(x*900)), uint32(int(y*600)), 5); s > 0.9991 {
			c = mix(c, rgb{1, 1, 1}, 0.55*(0.3-y)/0.3)
		}
	}
	return c
}

// at is the picture at a place: land, or its broken image in the water.
func at(x, y float64) rgb {
	if y < horizon {
		return land(x, y)
	}
	d := (y - horizon) / (1 - horizon)
	wave := fbm(x*(26-18*d), 3/(d+0.03), 91, 5) - 0.5
	mirror := horizon - (y-horizon)*0.92 + wave*0.055*(0.15+d)
	c := land(x+wave*0.018*(0.3+d), min(max(mirror, 0.02), horizon-0.001))
	c = mix(c.scale(0.86), hex(0x14243f), 0.12+0.48*d*d)
	glint := math.Exp(-math.Pow((x-sunX)/(0.03+0.07*d), 2)) * (1 - 0.7*d) * max(wave*3.4, 0)
	c = mix(c, hex(0xffe3b3), 0.95*glint)
	return mix(c, hex(0xe9b9a6), 0.5*math.Exp(-d*26)) // mist over the far water
}

func paint(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for py := range h {
		for px := range w {
			x, y := (float64(px)+0.5)/float64(w), (float64(py)+0.5)/float64(h)
			c := at(x, y)
			edge := 1 - 0.32*math.Pow(math.Hypot(x-0.5, (y-0.5)*0.9)*1.35, 3)
			grain := (hash(uint32(px), uint32(py), 3) - 0.5) * 0.030
			part := func(v float64) uint8 { return uint8(255*min(max(v*edge+grain, 0), 1) + 0.5) }
			img.SetRGBA(px, py, color.RGBA{part(c.r), part(c.g), part(c.b), 255})
		}
	}
	return img
}

// fbm is noise of several scales, about 0 to 1.
func fbm(x, y float64, seed uint32, octaves int) float64 {
	sum, amp, whole := 0.0, 1.0, 0.0
	for range octaves {
		sum, whole = sum+amp*noise(x, y, seed), whole+amp
		x, y, amp, seed = x*2.03, y*2.03, amp*0.5, seed+1
	}
	return sum / whole
}

// noise is smooth value noise, 0 to 1.
func noise(x, y float64, seed uint32) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := uint32(int32(fx)), uint32(int32(fy))
	sx, sy := smooth(x-fx), smooth(y-fy)
	top := hash(ix, iy, seed)*(1-sx) + hash(ix+1, iy, seed)*sx
	bottom := hash(ix, iy+1, seed)*(1-sx) + hash(ix+1, iy+1, seed)*sx
	return top*(1-sy) + bottom*sy
}

func smooth(t float64) float64 { return t * t * t * (t*(6*t-15) + 10) }

func hash(x, y, seed uint32) float64 {
	h := x*0x9e3779b1 ^ y*0x85ebca77 ^ seed*0xc2b2ae3d
	h = (h ^ h>>15) * 0x2c1b3c6d
	h = (h ^ h>>12) * 0x297a2d39
	return float64(h^h>>15) / (1 << 32)
}
