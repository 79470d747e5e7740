package wrap

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/reseal/reseal/identity"
	"github.com/reseal/reseal/message"
)

func fill32(name string) [32]byte { return sha256.Sum256([]byte("fixture " + name)) }

func fill16(name string) [16]byte {
	h := fill32(name)
	return [16]byte(h[:16])
}

const created = identity.Time(1_790_000_000_000)

// device is one end of a wrap, with keys made from its name.
type device struct {
	account identity.AccountID
	id      identity.DeviceID
	epoch   identity.EpochKey
	auth    identity.EpochAuthKey
}

func newDevice(t testing.TB, account, name string) device {
	t.Helper()
	seed, authSeed := fill32("EK "+account+name), fill32("XA "+account+name)
	epoch, err := identity.EpochKeyFromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	auth, err := identity.EpochAuthKeyFromSeed(authSeed[:])
	if err != nil {
		t.Fatal(err)
	}
	return device{account: fill16(account), id: fill16(account + name), epoch: epoch, auth: auth}
}

func wrapContext(from, to device) message.WrapContext {
	return message.WrapContext{
		From: message.WrapFrom{
			Account: from.account, Key: fill32("AK" + from.account.String()), Device: from.id, DeviceKey: fill32("DSK" + from.id.String()),
			Auth: from.auth.Public(), Epoch: 3, Cert: fill32("cert" + from.id.String()), ListVersion: 5,
			ListHash: fill32("list" + from.account.String()), At: created.Add(time.Second),
		},
		To: message.WrapTo{
			Account: to.account, Key: fill32("AK" + to.account.String()), Device: to.id, DeviceKey: fill32("DSK" + to.id.String()),
			Epoch: 9, Cert: fill32("cert" + to.id.String()), ListVersion: 2, ListHash: fill32("list" + to.account.String()),
		},
	}
}

func newHeader(from device, recipient identity.AccountID, digest message.Digest) message.Header {
	h := message.Header{
		Kind: message.KindContent, Sender: from.account, Recipient: recipient, SenderDevice: from.id,
		Created: created, Expires: created.Add(7 * 24 * time.Hour), Policy: message.Once, Suite: message.Cobblestone256,
		Blob: fill32("blob"), Length: 5_000_000, Digest: digest,
	}
	h.ID = message.NewID(created.Day(), h.Sender, h.Recipient, fill16("client id"), digest)
	return h
}

func newSecret() Secret {
	return Secret{CEK: fill32("CEK"), R: fill32("R"), Digest: fill32("digest")}
}

func mustSeal(t testing.TB, from, to device, h message.Header, s Secret) message.Wrap {
	t.Helper()
	w, err := Seal(wrapContext(from, to), to.epoch.Public(), to.auth.Public(), from.auth, h, s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
