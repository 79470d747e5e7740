package sim

import (
	"slices"

	"google.golang.org/protobuf/proto"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/internal/world"
	"github.com/reseal/reseal/message"
)

// wraps: no key is wrapped for a device that is not in a list that its account
// published, under the version and hash that the wrap names.
func (l *life) wraps(d *world.Device, req proto.Message) {
	var all [][]byte
	switch q := req.(type) {
	case *resealv1.SendRequest:
		all = slices.Concat(q.Wraps, q.Copies)
	case *resealv1.AddWrapsRequest:
		all = q.Wraps
	}
	for _, b := range all {
		w, err := message.ParseWrap(b)
		if err != nil {
			l.fail("%s makes a wrap that does not parse: %v", d.Name, err)
		}
		to := w.Context.To
		i := slices.IndexFunc(l.accounts, func(a *world.Account) bool { return a.ID == to.Account })
		if i < 0 {
			l.fail("%s wraps for an account that is none", d.Name)
		}
		list := l.accounts[i].ListAt(to.ListVersion)
		if list == nil || list.Hash() != to.ListHash || list.List.Key != to.Key {
			l.fail("%s wraps for a list of %s that was never published", d.Name, l.accounts[i].Handle)
		}
		if x, ok := list.Find(to.Device); !ok || x.Key != to.DeviceKey {
			l.fail("%s wraps for a device that is not in %s's list", d.Name, l.accounts[i].Handle)
		}
	}
}
