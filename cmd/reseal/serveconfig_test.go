package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzParseConfig(f *testing.F) {
	f.Add("listen = :443\n# a comment\n\nacme-domain=a.example\nacme-domain = b.example\n")
	f.Add("data\n")
	f.Add("data = a\ndata = b\n")
	f.Fuzz(func(t *testing.T, s string) {
		all, err := parseConfig([]byte(s))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, l := range all {
			if l.name == "" || l.value == "" || strings.ContainsAny(l.value, "\n") {
				t.Fatalf("%+v", l)
			}
			again.WriteString(l.name + " = " + l.value + "\n")
		}
		if b, err := parseConfig([]byte(again.String())); err != nil || len(b) != len(all) {
			t.Errorf("%q: %v", again.String(), err)
		}
	})
}

func TestParseConfig(t *testing.T) {
	for text, want := range map[string]string{
		"listen :443\n":                      "line 1: not of the form",
		"# fine\n\nlisten =\n":               "line 3: not of the form",
		"= x\n":                              "line 1: not of the form",
		"[server]\n":                         "line 1: not of the form",
		"data = a\nlisten = b\ndata = c\n":   "line 3: data is said twice",
		"Data = a\n":                         "line 1: no such setting",
		strings.Repeat("#", maxConfig) + "#": "more than 65536 bytes",
	} {
		if _, err := parseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// configured parses the flags of serve, then environment and file.
func configured(t *testing.T, env map[string]string, file string, args ...string) (serveFlags, error) {
	t.Helper()
	s := newSurroundings(t, nil)
	s.env.getenv = func(name string) string { return env[name] }
	c := &cli{env: &s.env}
	if file != "" {
		name := filepath.Join(s.dir, "reseal.conf")
		if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", name)
	}
	var f serveFlags
	cmd := newServe(c)
	fl := cmd.Flags()
	fl.CountVar(&c.plain, "plain-http", "")
	if err := fl.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := c.configure(fl); err != nil {
		return f, err
	}
	get := func(name string) string { return fl.Lookup(name).Value.String() }
	f.data, f.key, f.listen, f.signup, f.metrics = get("data"), get("key"), get("listen"), get("signup"), get("metrics")
	f.tls.domains, _ = fl.GetStringSlice("acme-domain")
	f.limits, _ = fl.GetStringArray("limit")
	f.quotas, _ = fl.GetStringArray("quota")
	return f, nil
}

// A flag comes before the environment, and that before the file.
func TestConfigOrder(t *testing.T) {
	env := map[string]string{"RESEAL_LISTEN": "127.0.0.1:2", "RESEAL_SIGNUP": "invite", "RESEAL_LIMIT": "login=1/2, send=3/4", "RESEAL_QUOTA": "pending=7, book=64K"}
	file := "listen = 127.0.0.1:3\nsignup = closed\nmetrics = off\nacme-domain = a.example\nacme-domain = b.example\nlimit = login=9/9\nquota = sent=9\n"
	f, err := configured(t, env, file, "--listen", "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if f.listen != "127.0.0.1:1" || f.signup != "invite" || f.metrics != "off" {
		t.Errorf("%+v", f)
	}
	if strings.Join(f.tls.domains, " ") != "a.example b.example" || strings.Join(f.limits, " ") != "login=1/2 send=3/4" {
		t.Errorf("%v, %v", f.tls.domains, f.limits)
	}
	if strings.Join(f.quotas, " ") != "pending=7 book=64K" {
		t.Errorf("%v", f.quotas)
	}
	if f, err = configured(t, nil, "quota = sent=9\nquota = blobs=off\n"); err != nil || strings.Join(f.quotas, " ") != "sent=9 blobs=off" {
		t.Errorf("%v, %v", f.quotas, err)
	}
	// Names in a file are relative to the file; the others to the working folder.
	f, err = configured(t, map[string]string{"RESEAL_KEY": "k"}, "data = srv\n")
	if err != nil || !filepath.IsAbs(f.data) || filepath.Base(f.data) != "srv" || f.key != "k" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for name, k := range map[string]struct {
		env  map[string]string
		file string
		want string
	}{
		"unknown":           {nil, "listn = :1\n", `line 1: no such setting: "listn"`},
		"not for files":     {nil, "\nconfig = other\n", `line 2: no such setting: "config"`},
		"no number":         {nil, "plain-http = much\n", "line 1: plain-http"},
		"no number in env":  {map[string]string{"RESEAL_CLOCK_OFFSET": "soon"}, "", "RESEAL_CLOCK_OFFSET"},
		"file is not there": {map[string]string{"RESEAL_CONFIG": "nowhere.conf"}, "", "nowhere.conf"},
	} {
		if _, err := configured(t, k.env, k.file); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		}
	}
}
