package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/spf13/cobra"

	resealv1 "github.com/reseal/reseal/api/reseal/v1"
	"github.com/reseal/reseal/api/reseal/v1/resealv1connect"
	"github.com/reseal/reseal/internal/terminal"
	"github.com/reseal/reseal/server"
	"github.com/reseal/reseal/server/backup"
)

// What a backup fails with, apart from what the server says.
var (
	errBackupThere  = errors.New("there is something at the place of the backup")
	errBackupRuns   = errors.New("another backup is being made")
	errBackupInside = errors.New("a backup lies outside the data folder")
	errBackupFull   = errors.New("no room for the backup")
)

func (c *cli) adminBackup(call adminCall) *cobra.Command {
	return &cobra.Command{
		Use: "backup DIR", Short: "Copy everything while the server runs", Args: cobra.ExactArgs(1),
		Long: `Makes a consistent copy of records and encrypted files in DIR, which must not be
there yet, while the server runs. It is durable when the command ends. Files are
linked where DIR lies on the same disk, which is no help when that disk dies: give
a DIR on another one, or copy it away.

A server is started on the copy as on any data folder: "reseal serve --data DIR",
with the same key file, --key FILE. The key file is not in the copy and belongs
elsewhere: with both, passwords can be guessed.`,
		Example: "  reseal admin backup /mnt/backup/reseal-2026-11-23",
		RunE: call(func(ctx context.Context, s resealv1connect.AdminServiceClient, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			stop := c.watchCopy(dir)
			_, err = s.Backup(ctx, &resealv1.BackupRequest{Folder: dir})
			stop()
			if err != nil {
				return backupError(err)
			}
			size, files := folderSize(dir)
			if c.json {
				return c.object(map[string]any{"backup": dir, "bytes": size, "files": files})
			}
			return c.printf("copied %s in %d files to %s; the key file is not in it\n", terminal.Size(size), files, dir)
		}),
	}
}

// watchCopy shows how much there is of a copy until stop is called.
func (c *cli) watchCopy(dir string) (stop func()) {
	bars := c.bars()
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for t := time.NewTicker(300 * time.Millisecond); ; {
			select {
			case <-ended:
				t.Stop()
				return
			case <-t.C:
				size, _ := folderSize(dir + backup.Unfinished)
				bars.Report("copying", size, 0)
			}
		}
	}()
	return func() {
		close(ended)
		<-done
		bars.Stop()
	}
}

// folderSize adds up what can be read of a folder.
func folderSize(dir string) (size, files uint64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				size, files = size+uint64(info.Size()), files+1
			}
		}
		return nil
	})
	return size, files
}

func backupError(err error) error {
	switch connect.CodeOf(err) {
	case connect.CodeAlreadyExists:
		return errBackupThere
	case connect.CodeAborted:
		return errBackupRuns
	case connect.CodeInvalidArgument:
		return errBackupInside
	case connect.CodeResourceExhausted:
		return errBackupFull
	case connect.CodePermissionDenied:
		return errors.Join(fs.ErrPermission, err)
	case connect.CodeUnimplemented:
		return server.ErrNoBackup
	}
	return err
}
