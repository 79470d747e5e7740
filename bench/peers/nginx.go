package peers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var nginx = &Peer{
	name:    "nginx",
	About:   "nginx with its DAV module, one worker, sendfile: files are written, not synced",
	Install: "apt-get install -y --no-install-recommends nginx-core",
	figures: []string{"blob"},
	find:    onPath("nginx"),
	args: func(folder, port string) ([]string, error) {
		conf, files, tmp := filepath.Join(folder, "nginx.conf"), filepath.Join(folder, "files"), filepath.Join(folder, "tmp")
		text := fmt.Sprintf(`daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[2]s/a; proxy_temp_path %[2]s/b; fastcgi_temp_path %[2]s/c; uwsgi_temp_path %[2]s/d; scgi_temp_path %[2]s/e;
  server {
    listen 127.0.0.1:%[3]s;
    sendfile on;
    client_max_body_size 64m;
    client_body_buffer_size 128k;
    location / { root %[4]s; dav_methods PUT; }
  }
}
`, folder, tmp, port, files)
		if os.Getuid() == 0 {
			text = "user root;\n" + text
		}
		return []string{"-c", conf, "-e", "stderr"}, errors.Join(os.MkdirAll(tmp, 0o700), os.MkdirAll(files, 0o700), os.WriteFile(conf, []byte(text), 0o600))
	},
}
