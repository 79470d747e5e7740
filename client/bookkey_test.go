package client_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/internal/world"
)

// A section without the book's key takes no book, and does not fail for it.
func TestABookWithoutItsKeyIsLeft(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		_, _, _, b1, _ := pair(w)
		b, _ := b1.State.Get("self")
		self := new(state.Self)
		must(t, proto.Unmarshal(b, self))
		self.BookKey, self.NextBookKey = self.BookKey[:7], nil
		b, err := proto.Marshal(self)
		must(t, err)
		b1.Stop()
		b1.State.Commit(client.Batch{{Name: "self", Value: b}})
		b1.Start()
		must(t, b1.Step(client.Answered{
			Call:     client.Call{Key: "book/get", Request: &resealv1.GetBookRequest{}},
			Response: &resealv1.GetBookResponse{Book: &resealv1.Book{Version: self.BookVersion + 1, Parts: [][]byte{{1}}}},
		}))
		if world.Told[client.Alarm](b1) != 0 || len(b1.State.Names("contact/")) != 1 {
			t.Error("an alarm, or contacts changed")
		}
	})
}

// The private half that a held message was wrapped for stays until the user has
