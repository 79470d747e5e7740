package floor

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Files serves the files of a folder: PUT makes one, durable before the answer,
// GET reads it, with ranges.
func Files(folder string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		if strings.HasPrefix(name, ".") || name == string(filepath.Separator) {
			http.Error(w, "name", http.StatusBadRequest)
			return
		}
		path := filepath.Join(folder, name)
		switch r.Method {
		case http.MethodPut:
			if err := put(folder, path, r.Body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusCreated)
		case http.MethodGet:
			http.ServeFile(w, r, path)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

func put(folder, path string, from io.Reader) error {
	f, err := os.CreateTemp(folder, ".up")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	if err == nil {
		err = Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
