package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var prosody = &Peer{
	name:    "prosody",
	About:   "Prosody, XMPP with stream management and its archive in files, as is its default: appended to, not synced",
	Install: "apt-get install -y --no-install-recommends prosody lua-event",
	figures: []string{"flood", "rate", "idle"},
	find:    onPath("prosody"),
	args: func(folder, port string) ([]string, error) {
		conf, data := filepath.Join(folder, "prosody.cfg.lua"), filepath.Join(folder, "data")
		text := fmt.Sprintf(`run_as_root = true
daemonize = false
pidfile = "%[1]s/pid"
data_path = "%[2]s"
interfaces = { "127.0.0.1" }
c2s_ports = { %[3]s }
legacy_ssl_ports = {}
modules_enabled = { "roster", "saslauth", "disco", "ping", "register", "smacks", "mam", "carbons" }
modules_disabled = { "s2s", "tls" }
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
archive_expires_after = "30d"
log = { warn = "*stderr" }
VirtualHost "localhost"
`, folder, data, port)
		return []string{"--config", conf, "-F"}, errors.Join(os.MkdirAll(data, 0o700), os.WriteFile(conf, []byte(text), 0o600))
	},
	prepare: prepareXMPP, connect: connectXMPP,
}

var ejabberd = &Peer{
	name:    "ejabberd",
	About:   "ejabberd, XMPP with stream management and an archive in Mnesia: logged, not synced for each message",
	Install: "apt-get install -y --no-install-recommends ejabberd",
	figures: []string{"flood", "rate", "idle", "drain"},
	find: func(ctx context.Context) (string, error) {
		if _, err := ejabberdCode(); err != nil {
			return "", err
		}
		return onPath("erl")(ctx)
	},
	args: func(folder, port string) ([]string, error) {
		code, err := ejabberdCode()
		if err != nil {
			return nil, err
		}
		conf := filepath.Join(folder, "ejabberd.yml")
		text := fmt.Sprintf(`hosts: [localhost]
loglevel: warning
listen:
  - {port: %s, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, starttls: false}
auth_method: internal
auth_password_format: plain
registration_timeout: infinity
shaper_rules: {max_user_offline_messages: {5000: all}}
trusted_proxies: all
modules:
  mod_disco: {}
  mod_ping: {}
  mod_roster: {}
  mod_offline: {access_max_user_messages: max_user_offline_messages}
  mod_register: {ip_access: all, access: all, password_strength: 0}
  mod_stream_mgmt: {resend_on_timeout: if_offline}
  mod_mam: {default: always, assume_mam_usage: true}
`, port)
		return []string{
			"+K", "true", "+Q", "20000", "-noinput", "-pa", code, "-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(folder, "db")),
			"-ejabberd", "config", fmt.Sprintf("%q", conf), "log_path", fmt.Sprintf("%q", filepath.Join(folder, "ejabberd.log")), "-s", "ejabberd",
		}, os.WriteFile(conf, []byte(text), 0o600)
	},
	prepare: prepareXMPP, connect: connectXMPP,
}

// ejabberdCode is where Debian has the server's compiled modules.
func ejabberdCode() (string, error) {
	found, err := filepath.Glob("/usr/lib/*/ejabberd-*/ebin")
	if err != nil || len(found) == 0 {
		return "", errors.Join(errors.New("no /usr/lib/*/ejabberd-*/ebin"), err)
	}
	return found[0], nil
}
