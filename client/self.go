package client

import (
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/reseal/reseal/client/internal/state"
	"github.com/reseal/reseal/identity"
)

// Birth is what a device begins with: login makes it, stores its Records in a
// fresh section, and only then publishes the list that names the device.
type Birth struct {
	Account identity.AccountID
	Handle  string
	Device  identity.DeviceID
	Key     identity.DeviceKey
	// BookKey is K_book, the only one of the capsule's keys that sections keep.
	BookKey []byte
	// Row is the id of the section's share at the server.
	Row []byte
	// List is the signed list that names the device.
	List  []byte
	Epoch *EpochKeys
	Now   identity.Time
}

// Records are the first records of a device's section.
func (b Birth) Records() (Batch, error) {
	self, err := marshal(&state.Self{
		Account: b.Account[:], Handle: b.Handle, Device: b.Device[:], DeviceSeed: b.Key.Seed(),
		BookKey: b.BookKey, Row: b.Row, List: b.List, Certificates: [][]byte{b.Epoch.Certificate.Bytes()},
		LoggedInAt: uint64(b.Now),
	})
	if err != nil {
		return nil, err
	}
	epoch, err := NewEpoch(b.Epoch)
	if err != nil {
		return nil, err
	}
	return Batch{{nameSelf, self}, {epochName(b.Epoch.Number), epoch}}, nil
}

// FirstEpoch makes fresh epoch keys for a device and signs their certificate.
func FirstEpoch(a identity.AccountID, d identity.DeviceID, key identity.DeviceKey, number uint64, now identity.Time, rand io.Reader) (*EpochKeys, error) {
	k, err := identity.NewEpochKey(rand)
	if err != nil {
		return nil, err
	}
	auth, err := identity.NewEpochAuthKey(rand)
	if err != nil {
		return nil, err
	}
	c, err := identity.SignCertificate(identity.Certificate{
		Account: a, Device: d, Epoch: number, Key: k.Public(), Auth: auth.Public(),
		MaxVersion: MaxVersion, NotBefore: now, NotAfter: now.Add(identity.CertificateLife),
	}, key)
	if err != nil {
		return nil, err
	}
	return &EpochKeys{Number: number, Key: k, Auth: auth, Certificate: c}, nil
}

func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
