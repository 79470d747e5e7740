package nats

import (
	"strings"
	"testing"

	"github.com/reseal/reseal/bus"
)

func FuzzTopicOf(f *testing.F) {
	f.Add(subject("queue/\x00\xff"))
	f.Add(prefix)
	f.Add(prefix + "YQ=")
	f.Add(prefix + "Y\nQ")
	f.Fuzz(func(t *testing.T, s string) {
		topic, ok := topicOf(s)
		if ok && (subject(topic) != s || len(topic) > bus.MaxTopic) {
			t.Errorf("%q is the topic %q", s, topic)
		}
		if len(s) <= bus.MaxTopic {
			if back, ok := topicOf(subject(s)); !ok || back != s || strings.ContainsAny(subject(s), " *>\r\n\t") {
				t.Errorf("%q became %q in %q", s, back, subject(s))
			}
		}
	})
}

func TestTopicOfRefuses(t *testing.T) {
	for _, s := range []string{"", "a", "reseal.hint.2.tYQ", prefix + "YQ=", prefix + "Y\nQ", prefix + "YR", prefix + "a.b", subject(strings.Repeat("x", bus.MaxTopic+1))} {
		if topic, ok := topicOf(s); ok {
			t.Errorf("%q is taken for the topic %q", s, topic)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("nats://127.0.0.1:4222,nats://[::1]:4222")
	f.Add("tls://nats.example:4222")
	f.Fuzz(func(t *testing.T, s string) {
		servers, secure, err := parse(s, false)
		if err != nil {
			return
		}
		for _, a := range servers {
			if strings.Contains(a, "@") || secure != strings.HasPrefix(strings.ToLower(a), "tls://") {
				t.Errorf("%q is taken, with TLS: %v", a, secure)
			}
		}
	})
}
