package main

import (
	"bytes"
	"image/jpeg"
	"testing"

	"github.com/reseal/reseal/internal/demo/picture"
)

// The picture that is shipped is what this program paints: compared by eye's
// measure, since floating point differs a little between processors.
func TestShippedPictureIsOurs(t *testing.T) {
	shipped, err := jpeg.Decode(bytes.NewReader(picture.JPEG))
	if err != nil {
		t.Fatal(err)
	}
	if b := shipped.Bounds(); b.Dx() != wide || b.Dy() != high {
		t.Fatalf("it is %v", b)
	}
	if n := len(picture.JPEG); n < 400<<10 || n > 2<<20 {
		t.Errorf("it has %d bytes", n)
	}
	for y := 8; y < high; y += 97 {
		for x := 8; x < wide; x += 89 {
			c := at((float64(x)+0.5)/wide, (float64(y)+0.5)/high)
			r, g, b, _ := shipped.At(x, y).RGBA()
			for i, v := range []float64{c.r, c.g, c.b} {
				got := float64([]uint32{r, g, b}[i]) / 0xffff
				// The vignette darkens by a third at most; grain and JPEG
				// move a little.
				if v = min(max(v, 0), 1); got > v+0.15 || got < v*0.60-0.15 {
					t.Fatalf("at %d,%d part %d is %.2f, painted %.2f", x, y, i, got, v)
				}
			}
		}
	}
}
