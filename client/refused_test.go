package client_test

import (
	"strings"
	"testing"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/client"
	"github.com/reseal/reseal/internal/world"
)

// A refusal ends the question, so that what waited for its answer goes on.
func TestRefusedQuestionsAreOver(t *testing.T) {
	world.Run(t, 1, func(w *world.World) {
		ana, _, a, b1, _ := pair(w)
		name := "resolve/cert/" + ana.ID.String() + "/" + a.ID.String() + "/0000000000000009"
		b1.State.Commit(client.Batch{{Name: name, Value: []byte{1}}})
		no := &client.Refusal{Reason: resealv1.Reason_REASON_LIMIT}
		must(t, b1.Step(client.Answered{Refusal: no, Call: client.Call{Key: name, Request: &resealv1.GetCertificatesRequest{
			Certificates: []*resealv1.NamedCertificate{{AccountId: ana.ID[:], DeviceId: a.ID[:], Epoch: 9}},
		}}}))
		if n := b1.State.Names("resolve/"); len(n) != 0 {
			t.Errorf("still asked for: %v", n)
		}

		must(t, b1.Step(client.ChangeContact{Account: ana.ID, Change: client.Block}))
		block := &resealv1.SetBlockedRequest{AccountId: ana.ID[:], Blocked: true}
		must(t, b1.Step(client.Answered{Refusal: no, Call: client.Call{Key: "block/" + ana.ID.String(), Request: block}}))
		b1.Disconnect()
		b1.Connect()
		if calls := strings.Join(b1.Calls(), " "); !strings.Contains(calls, "block/"+ana.ID.String()) {
			t.Errorf("a block that the server refused counts as told: %s", calls)
		}

		must(t, b1.Step(client.Streamed{Event: &world.Event{Event: &resealv1.EventsResponse_BookVersion{BookVersion: 99}}}))
		must(t, b1.Step(client.Answered{Refusal: no, Call: client.Call{Key: "book/get", Request: &resealv1.GetBookRequest{}}}))
		must(t, b1.Step(client.ChangeContact{Account: ana.ID, Change: client.Verify, Key: contact(t, b1, ana).Key}))
		if calls := strings.Join(b1.Calls(), " "); !strings.Contains(calls, "book/put/") {
			t.Errorf("the book is not put: %s", calls)
		}
	})
}
