package retry

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

// answerable is a request for which everything holds.
func answerable() Known {
	return Known{
		KeyPinned: true, NotBlocked: true, Listed: true, Signed: true, Certified: true, Addressed: true,
		Recorded: true, Pending: true, KeyHeld: true, DigestOriginal: true,
		Requester: Answer{fill16("bob's phone"), 9},
	}
}

// answers makes earlier answers to n devices, one wrap each.
func answers(n int) (as []Answer) {
	for i := range n {
		as = append(as, Answer{fill16(fmt.Sprint("device ", i)), 1})
	}
	return as
}

// epochs makes n answers to the requester for epochs 1 to n.
func epochs(n int) (as []Answer) {
	for i := range n {
		as = append(as, Answer{fill16("bob's phone"), uint64(i + 1)})
	}
	return as
}

var conditionFields = []struct {
	name   string
	reason Reason
}{
	{"KeyPinned", KeyNotPinned}, {"NotBlocked", Blocked}, {"Listed", NotListed}, {"Signed", NotSigned},
	{"Certified", NotCertified}, {"Addressed", NotAddressed}, {"Recorded", NotRecorded}, {"Pending", NotPending},
	{"KeyHeld", NoKey}, {"DigestOriginal", OtherDigest},
}

// Every condition alone refuses, with its reason, also when an answer for this
// very device and epoch is stored already.
func TestDecideNeedsEveryCondition(t *testing.T) {
	bools := 0
	for f := range reflect.TypeFor[Known]().NumField() {
		if reflect.TypeFor[Known]().Field(f).Type.Kind() == reflect.Bool {
			bools++
		}
	}
	if bools != len(conditionFields) {
		t.Fatalf("%d conditions, %d tested", bools, len(conditionFields))
	}
	for _, c := range conditionFields {
		for _, stored := range [][]Answer{nil, {{fill16("bob's phone"), 9}}} {
			k := answerable()
			k.Answers = stored
			reflect.ValueOf(&k).Elem().FieldByName(c.name).SetBool(false)
			if v, r := Decide(k); v != Refuse || r != c.reason {
				t.Errorf("%s false, %d stored: %d, %v", c.name, len(stored), v, r)
			}
		}
	}
	if v, r := Decide(Known{}); v != Refuse || r != KeyNotPinned {
		t.Error("knowing nothing does not refuse:", v, r)
	}
}

// capCase is one row of decide.json: counts, and what follows.
type capCase struct {
	Scenario     string `json:"scenario"`
	OtherDevices int    `json:"other_devices"`
	OwnEpochs    int    `json:"own_epochs"`
	SameStored   bool   `json:"same_stored"`
	Open         int    `json:"open"`
	Verdict      string `json:"verdict"`
	Reason       string `json:"reason"`
}

var verdicts = map[Verdict]string{Refuse: "refuse", Repeat: "repeat", Make: "make"}

var capCases = []capCase{
	{"first answer", 0, 0, false, 0, "make", "ok"},
	{"the last device in the cap", MaxDevicesPerMessage - 1, 0, false, 0, "make", "ok"},
	{"one device too many", MaxDevicesPerMessage, 0, false, 0, "refuse", "too many devices"},
	{"a known device beside a full cap", MaxDevicesPerMessage - 1, 1, false, 0, "make", "ok"},
	{"the last epoch in the cap", 0, MaxWrapsPerDevice - 1, false, 0, "make", "ok"},
	{"one epoch too many", 0, MaxWrapsPerDevice, false, 0, "refuse", "too many wraps"},
	{"the last open request in the cap", 0, 0, false, MaxOpenPerMessage - 1, "make", "ok"},
	{"one open request too many", 0, 0, false, MaxOpenPerMessage, "refuse", "too many open requests"},
	{"the same again", 0, 0, true, 0, "repeat", "ok"},
	{"the same again, all caps full", MaxDevicesPerMessage, MaxWrapsPerDevice, true, MaxOpenPerMessage, "repeat", "ok"},
}

func TestDecideCaps(t *testing.T) {
	if *update {
		writeJSON(t, "decide.json", capCases)
	}
	var cases []capCase
	readJSON(t, "decide.json", &cases)
	if !slices.Equal(cases, capCases) {
		t.Fatal("decide.json is not what the test has")
	}
	for _, c := range cases {
		k := answerable()
		k.Open = c.Open
		k.Answers = append(answers(c.OtherDevices), epochs(c.OwnEpochs)...)
		if c.SameStored {
			k.Answers = append(k.Answers, k.Requester)
		}
		if v, r := Decide(k); verdicts[v] != c.Verdict || r.String() != c.Reason {
			t.Errorf("%s: %s, %v", c.Scenario, verdicts[v], r)
		}
	}
}

// However often a device asks, an honest holder gives out a bounded number of
// wraps: what it answered is what the caps count.
func TestDecideBoundsWhatIsGivenOut(t *testing.T) {
	k := answerable()
	made := 0
	for device := range 100 {
		for epoch := range uint64(20) {
			k.Requester = Answer{fill16(fmt.Sprint(device)), epoch}
			if v, _ := Decide(k); v == Make {
				k.Answers = append(k.Answers, k.Requester)
				made++
			}
		}
	}
	if made != MaxDevicesPerMessage*MaxWrapsPerDevice {
		t.Fatalf("%d wraps given out", made)
	}
}

func TestReasonsHaveTexts(t *testing.T) {
	seen := make(map[string]bool)
	for r := OK; r <= TooManyWraps; r++ {
		if s := r.String(); s == "unknown" || seen[s] {
			t.Errorf("reason %d: %q", r, s)
		}
		seen[r.String()] = true
	}
	if Reason(200).String() != "unknown" {
		t.Error("reason out of range")
	}
}

// dealCase is one row of deal.json: how many messages each holder gets; -1 for
// the whole request.
type dealCase struct {
	Messages int   `json:"messages"`
	Holders  int   `json:"holders"`
	Repeat   bool  `json:"repeat"`
	Parts    []int `json:"parts"`
}

var dealCases = []dealCase{
	{1, 3, false, []int{-1, -1, -1}},
	{DealAbove, 2, false, []int{-1, -1}},
	{DealAbove + 1, 2, false, []int{33, 32}},
	{DealAbove + 1, 2, true, []int{-1, -1}},
	{DealAbove + 1, 1, false, []int{-1}},
	{MaxMessages, 5, false, []int{52, 51, 51, 51, 51}},
	{DealAbove + 1, 0, false, nil},
}

func TestDeal(t *testing.T) {
	if *update {
		writeJSON(t, "deal.json", dealCases)
	}
	var cases []dealCase
	readJSON(t, "deal.json", &cases)
	if !reflect.DeepEqual(cases, dealCases) {
		t.Fatal("deal.json is not what the test has")
	}
	for _, c := range cases {
		var holders []identity.DeviceID
		for i := range c.Holders {
			holders = append(holders, identity.DeviceID{byte(c.Holders - i)}) // unsorted
		}
		all := ids(c.Messages)
		parts := Deal(all, holders, c.Repeat)
		var sizes []int
		var dealt []message.ID
		for i, p := range parts {
			if p.Holder != (identity.DeviceID{byte(i + 1)}) {
				t.Errorf("%+v: holders not in order", c)
			}
			if p.Messages == nil {
				sizes = append(sizes, -1)
				continue
			}
			if !slices.IsSortedFunc(p.Messages, compareIDs) {
				t.Errorf("%+v: part not sorted", c)
			}
			sizes = append(sizes, len(p.Messages))
			dealt = append(dealt, p.Messages...)
		}
		slices.SortFunc(dealt, compareIDs)
		if !slices.Equal(sizes, c.Parts) || (dealt != nil && !slices.Equal(dealt, all)) {
			t.Errorf("%+v: parts %v", c, sizes)
		}
	}
}

// More holders than messages, and a holder named twice: nobody is asked for
// nothing, nobody twice.
func TestDealManyHolders(t *testing.T) {
	var holders []identity.DeviceID
	for i := range 100 {
		holders = append(holders, fill16(fmt.Sprint(i)), fill16(fmt.Sprint(i)))
	}
	parts := Deal(ids(DealAbove+1), holders, false)
	if len(parts) != DealAbove+1 {
		t.Fatalf("%d holders asked", len(parts))
	}
	for _, p := range parts {
		if len(p.Messages) != 1 {
			t.Error("uneven part")
		}
	}
}

type scheduleCase struct {
	Repeats int           `json:"repeats"`
	Due     identity.Time `json:"due_ms_after"`
	OK      bool          `json:"by_time"`
}

func TestNextRepeat(t *testing.T) {
	want := []scheduleCase{{0, 10_000, true}, {1, 60_000, true}, {2, 0, false}, {100, 0, false}, {-1, 0, false}}
	if *update {
		writeJSON(t, "schedule.json", want)
	}
	var cases []scheduleCase
	readJSON(t, "schedule.json", &cases)
	if !slices.Equal(cases, want) {
		t.Fatal("schedule.json is not what the test has")
	}
	const asked = identity.Time(1_790_000_000_000)
	for _, c := range cases {
		due, ok := NextRepeat(asked, c.Repeats)
		if ok != c.OK || (ok && due != asked+c.Due) || (!ok && due != 0) {
			t.Errorf("%+v: %d, %v", c, due, ok)
		}
	}
}
