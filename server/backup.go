package server

import (
	"context"
	"errors"

	"github.com/reseal/reseal/server/backup"
)

// ErrNoBackup: the store cannot copy itself; its engine has ways of its own.
var ErrNoBackup = errors.New("server: this store has no backup")

// Backup makes a consistent copy of records and files in dir, which must not be
// there, while the server runs. A server is started on it as on any data folder,
// with the same key file, which is not part of it. Clients see such a server as
// one that went back in time.
func (s *Server) Backup(ctx context.Context, dir string) error {
	st, ok := s.config.Store.(backup.Store)
	if !ok {
		return ErrNoBackup
	}
	return backup.Write(ctx, dir, st, s.bytes)
}
