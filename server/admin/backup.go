package admin

import (
	"context"
	"path/filepath"

	"connectrpc.com/connect/v2"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
)

// Backup makes a consistent copy of records and files in a folder.
func (s *Service) Backup(ctx context.Context, req *resealv1.BackupRequest) (*resealv1.BackupResponse, error) {
	if !filepath.IsAbs(req.Folder) {
		return nil, connect.NewError(connect.CodeInvalidArgument, "the folder of a backup is an absolute path")
	}
	began := s.Now()
	if err := s.Copy(ctx, req.Folder); err != nil {
		s.Log.WarnContext(ctx, "admin: no backup", "error", err)
		return nil, err
	}
	s.Log.InfoContext(ctx, "admin: backup made", "took", s.Now().Sub(began))
	return &resealv1.BackupResponse{}, nil
}
