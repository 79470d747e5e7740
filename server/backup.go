package server

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/reseal/reseal/server/backup"
)

// What a backup fails with, apart from errors of the disk.
var (
	// ErrNoBackup: the store cannot copy itself; its engine has ways of its own.
	ErrNoBackup = errors.New("server: this store has no backup")
	// ErrBackupRuns: another one is being made.
	ErrBackupRuns = errors.New("server: another backup is being made")
	// ErrBackupInside: the copy would lie within what is copied.
	ErrBackupInside = errors.New("server: a backup lies outside the data folder")
)

// Backup makes a consistent copy of records and files in dir, which must not be
// there, while the server runs. A server is started on it as on any data folder,
// with the same key file, which is not part of it. Clients see such a server as
// one that went back in time. One at a time: a second one is ErrBackupRuns.
func (s *Server) Backup(ctx context.Context, dir string) error {
	st, ok := s.config.Store.(backup.Store)
	if !ok {
		return ErrNoBackup
	}
	if within(filepath.Dir(s.config.BlobFolder), dir) {
		return ErrBackupInside
	}
	if !s.copying.TryLock() {
		return ErrBackupRuns
	}
	defer s.copying.Unlock()
	return backup.Write(ctx, dir, st, s.bytes)
}

// within tells whether path lies in folder. What cannot be told apart does not.
func within(folder, path string) bool {
	abs := func(p string) (string, error) {
		// Of what is not there yet, its parent is looked at.
		p, err := filepath.Abs(p)
		if err != nil {
			return "", err
		}
		for rest := ""; ; {
			if real, err := filepath.EvalSymlinks(p); err == nil {
				return filepath.Join(real, rest), nil
			}
			if parent := filepath.Dir(p); parent != p {
				p, rest = parent, filepath.Join(filepath.Base(p), rest)
				continue
			}
			return p, fs.ErrNotExist
		}
	}
	a, err := abs(folder)
	b, berr := abs(path)
	if err != nil || berr != nil {
		return false
	}
	rel, err := filepath.Rel(a, b)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
