package nats

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/reseal/reseal/bus"
)

// maxAddresses bounds what an operator may give.
const maxAddresses = 64

// parse checks addresses, and tells whether they speak TLS. Its errors quote none:
// they may hold a password.
func parse(addresses string, plain bool) (servers []string, secure bool, err error) {
	all := strings.Split(addresses, ",")
	if len(all) > maxAddresses {
		return nil, false, errors.New("bus/nats: more than 64 addresses")
	}
	for i, a := range all {
		a = strings.TrimSpace(a)
		u, err := url.Parse(a)
		switch {
		case err != nil || u.Host == "" || u.Hostname() == "" || u.Port() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
			return nil, false, errors.New("bus/nats: an address is not of the form nats://host:port or tls://host:port")
		case u.User != nil:
			return nil, false, errors.New("bus/nats: an address holds a secret: put it into a credentials file")
		case u.Scheme == "nats" && !plain && !loopback(u.Hostname()):
			return nil, false, errors.New("bus/nats: an address without TLS is not of this machine: use tls://")
		case u.Scheme != "nats" && u.Scheme != "tls":
			return nil, false, errors.New("bus/nats: an address is neither nats:// nor tls://")
		}
		if i > 0 && secure != (u.Scheme == "tls") {
			return nil, false, errors.New("bus/nats: addresses with and without TLS do not go together")
		}
		all[i], secure = a, u.Scheme == "tls"
	}
	return all, secure, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && net.IP(ip.AsSlice()).IsLoopback()
}

// topicOf reads a subject; it is false for what [subject] does not make.
func topicOf(s string) (string, bool) {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok || len(text) > base64.RawURLEncoding.EncodedLen(bus.MaxTopic) {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || subject(string(b)) != s { // decoding passes over line ends
		return "", false
	}
	return string(b), true
}
