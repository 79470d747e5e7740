package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/reseal/reseal"
)

// A message of a newer version is shown wherever messages are, with the way out
// and without inventing what is not known of it.
func TestMessageOfANewerVersionIsShown(t *testing.T) {
	s := newSurroundings(t, nil)
	c := &cli{env: &s.env}
	m := reseal.Message{ID: reseal.MessageID{1, 2, 3, 4, 0xab, 0xcd, 0xef, 0x12}, State: reseal.StateUpdate}
	if err := c.showMessages(nil, []reseal.Message{m}, reseal.InboxOptions{}); err != nil {
		t.Fatal(err)
	}
	c.tellUpdate(1)
	row, hint := s.out.String(), s.err.String()
	for _, want := range []string{"abcdef12", "(unknown)", "update"} {
		if !strings.Contains(row, want) {
			t.Errorf("no %q in %q", want, row)
		}
	}
	if strings.Contains(row, "1970") || strings.Contains(row, "ago") || !strings.Contains(hint, "update reseal") {
		t.Errorf("%q, %q", row, hint)
	}
	b, err := json.Marshal(messageObject(nil, m))
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	if o["state"] != "update" || o["sent"] != "" || o["policy"] != nil || o["from"] != nil || o["peer_id"] != nil {
		t.Errorf("%s", b)
	}
	e := reseal.Event{Kind: reseal.KindMessage, Time: time.Now(), ID: m.ID, State: string(reseal.StateUpdate)}
	if text := eventText(e); !strings.Contains(text, "update reseal") {
		t.Errorf("%q", text)
	}
	if i := eventObject("ben", e); i.State != "update" {
		t.Errorf("%+v", i)
	}
	two := 2
	s.out.Reset()
	if err := c.showStatus(status{Accounts: []statusAccount{{Account: "ben", Device: "0123456789", Update: &two}}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.out.String(), "ben: 2 messages need a newer version: update reseal") {
		t.Errorf("%q", s.out.String())
	}
}
