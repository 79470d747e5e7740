package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
)

// settings are what a device has, as text.
func settings(t *testing.T, d *world.Device) string {
	t.Helper()
	all, err := d.Engine.Settings()
	must(t, err)
	return strings.TrimPrefix(fmt.Sprintf("%s", all), "map")
}

// Settings reach every device; two that are changed at once are both there, and
// of one that two devices change, all take the same value.
func TestSettings(t *testing.T) {
	for seed := range uint64(6) {
		world.Run(t, seed, func(w *world.World) {
			bob := w.Account("bob")
			b1, b2 := bob.Device(), bob.Device()
			w.Run()
			lost := 0
			w.Net = func(x *world.Exchange) world.Fate {
				if _, ok := x.Request.(*resealv1.PutBookRequest); ok && lost == 0 {
					lost++
					return world.LoseAnswer
				}
				return world.Deliver
			}
			must(t, b1.Step(client.SetSetting{Name: "theme", Value: []byte("dark")}))
			must(t, b1.Step(client.SetSetting{Name: "same", Value: []byte("a")}))
			must(t, b2.Step(client.SetSetting{Name: "same", Value: []byte("b")}))
			must(t, b2.Step(client.SetSetting{Name: "font", Value: []byte("large")}))
			w.Run()
			const want = "[font:large same:b theme:dark]"
			for _, d := range []*world.Device{b1, b2} {
				if got := settings(t, d); got != want {
					t.Fatalf("%s: %s", d.Name, got)
				}
			}
			if world.Told[client.SettingChanged](b2) != 1 || world.Told[client.SettingChanged](b1) != 2 {
				t.Fatalf("told %d and %d times", world.Told[client.SettingChanged](b1), world.Told[client.SettingChanged](b2))
			}
			b3 := bob.Device()
			w.Run()
			if got := settings(t, b3); got != want {
				t.Fatalf("%s: %s", b3.Name, got)
			}
			// A removed one does not come back with a device that slept.
			b2.Stop()
			must(t, b1.Step(client.SetSetting{Name: "same"}))
			w.Run()
			b2.Start()
			w.Run()
			for _, d := range []*world.Device{b1, b2, b3} {
				if got := settings(t, d); got != "[font:large theme:dark]" {
					t.Fatalf("%s: %s", d.Name, got)
				}
			}
		})
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		b := w.Account("bob").Device()
		w.Run()
		for name, want := range map[string]error{
			"": client.ErrSettingName, "With Space": client.ErrSettingName, strings.Repeat("n", 65): client.ErrSettingName, "ok": nil,
		} {
			if err := b.Step(client.SetSetting{Name: name, Value: []byte("x")}); !errors.Is(err, want) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if err := b.Step(client.SetSetting{Name: "long", Value: make([]byte, 1025)}); !errors.Is(err, client.ErrBookFull) {
			t.Errorf("a long value: %v", err)
		}
		for i := range 255 {
			must(t, b.Step(client.SetSetting{Name: fmt.Sprint("n", i), Value: []byte("x")}))
		}
		if err := b.Step(client.SetSetting{Name: "more", Value: []byte("x")}); !errors.Is(err, client.ErrBookFull) {
			t.Errorf("one too many: %v", err)
		}
		if got, err := b.Engine.Settings(); err != nil || len(got) != 256 || got["more"] != nil {
			t.Errorf("%d settings, %v", len(got), err)
		}
	})
}
