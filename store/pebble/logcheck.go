package pebble

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reseal/reseal/store"
)

// Pebble's logs and manifests are chunks in blocks of 32 KiB (package record
// there): checksum 4, length 2, encoding 1; in logs also log number 4 and 8 bytes
// of how far the log was synced when the chunk was made.
const (
	blockSize      = 32 << 10
	manifestHeader = 7
	logHeader      = 19
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkLogs looks for damage that Pebble takes for the torn end after a crash,
// dropping what lies behind it: a chunk that was synced, since a good one
// behind it says so, but is not good.
func checkLogs(fs vfs.FS, folder string) error {
	names, err := fs.List(folder)
	if err != nil {
		return err
	}
	marker := ""
	for _, name := range names {
		if strings.HasPrefix(name, "marker.manifest.") {
			marker = max(marker, name) // the highest counts; its number has a fixed width
		}
	}
	for _, name := range names {
		number, isLog := strings.CutSuffix(name, ".log")
		if !isLog && (marker == "" || !strings.HasSuffix(marker, "."+name)) {
			continue
		}
		b, err := readFile(fs, fs.PathJoin(folder, name))
		if err != nil {
			return err
		}
		var log uint64
		if isLog {
			if log, err = strconv.ParseUint(number, 10, 32); err != nil {
				continue // not one of Pebble's
			}
		}
		if at, damaged := damage(b, isLog, uint32(log)); damaged {
			return fmt.Errorf("%w: %s at byte %d", store.ErrDamaged, name, at)
		}
	}
	return nil
}

// chunk is one that is good. synced is 0 in manifests.
type chunk struct {
	size   int
	log    uint32
	synced uint64
	starts bool // it begins a record
}

func parseChunk(b []byte, at int, isLog bool) (c chunk, ok bool) {
	end := min(len(b), at-at%blockSize+blockSize)
	header, first, last := manifestHeader, byte(1), byte(4)
	if isLog {
		header, first, last = logHeader, 9, 12
	}
	if at+header > end || b[at+6] < first || b[at+6] > last {
		return chunk{}, false
	}
	c.size = header + int(binary.LittleEndian.Uint16(b[at+4:]))
	if at+c.size > end {
		return chunk{}, false
	}
	sum := crc32.Checksum(b[at+6:at+c.size], castagnoli)
	if binary.LittleEndian.Uint32(b[at:]) != (sum>>15|sum<<17)+0xa282ead8 {
		return chunk{}, false
	}
	c.starts = b[at+6] <= first+1
	if isLog {
		c.log = binary.LittleEndian.Uint32(b[at+7:])
		c.synced = binary.LittleEndian.Uint64(b[at+11:])
	}
	return c, true
}

// damage returns the first bad chunk if it is damage and not a torn end. Of a
// file that was used before, old chunks with another log number lie behind the
// end.
func damage(b []byte, isLog bool, log uint32) (at int, damaged bool) {
	for at < len(b) {
		c, ok := parseChunk(b, at, isLog)
		if ok && isLog && c.log == log+1 {
			return 0, false // the mark of an orderly end
		}
		if ok && c.log == log {
			at += c.size
			continue
		}
		if next := at - at%blockSize + blockSize; next-at < logHeader && zero(b[at:min(next, len(b))]) {
			at = next // too little room in the block for another chunk
			continue
		}
		break
	}
	for next := at + 1; next < len(b); next++ {
		// A manifest is synced after each record, a log says how far.
		c, ok := parseChunk(b, next, isLog)
		if ok && c.log == log && (isLog && c.synced > uint64(at) || !isLog && c.starts) {
			return at, true
		}
	}
	return 0, false
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
