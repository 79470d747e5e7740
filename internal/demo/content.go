package demo

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"mime"
	"net/http"
	"os"
	"path/filepath"

	"github.com/reseal/reseal/internal/demo/picture"
	"github.com/reseal/reseal/internal/terminal"
)

// content is something to send: a text, or a file.
type content struct {
	text    string // of a text
	path    string // of a file
	name    string
	typ     string
	caption string
	size    int64
	sum     [32]byte
}

func text(s string) *content {
	return &content{text: s, size: int64(len(s)), sum: sha256.Sum256([]byte(s))}
}

// what is the content in words.
func (c *content) what() string {
	if c.path == "" {
		return "a text"
	}
	return terminal.Cut(terminal.Line(c.name), 24)
}

// file describes the file at path.
func file(path, caption string) (*content, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	h := sha256.New()
	h.Write(head[:n])
	rest, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	c := &content{path: path, name: filepath.Base(path), caption: caption, size: int64(n) + rest, sum: [32]byte(h.Sum(nil))}
	if c.typ = mime.TypeByExtension(filepath.Ext(path)); c.typ == "" {
		c.typ = http.DetectContentType(head[:n])
	}
	return c, nil
}

// shipped writes the project's own picture to a file.
func shipped(dir string) (string, error) {
	path := filepath.Join(dir, picture.Name)
	return path, os.WriteFile(path, picture.JPEG, 0o600)
}

// filmName is the generated file's: as long as a video, and as hard to compress.
const filmName = "crossing-the-lake.mp4"

// film generates a file of size bytes.
func film(dir string, size int64) (path string, err error) {
	path = filepath.Join(dir, filmName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return "", err
	}
	_, err = io.CopyN(f, mathrand.NewChaCha8(seed), size)
	return path, err
}

// open is the content as a stream.
func (c *content) open() (io.ReadCloser, error) {
	if c.path == "" {
		return io.NopCloser(bytes.NewReader([]byte(c.text))), nil
	}
	return os.Open(c.path)
}

// same compares what came with what was sent, byte for byte.
func (c *content) same(got io.Reader) error {
	want, err := c.open()
	if err != nil {
		return err
	}
	defer want.Close()
	h := sha256.New()
	got = io.TeeReader(got, h)
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, errA := io.ReadFull(want, a)
		m, errB := io.ReadFull(got, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("what came differs from what was sent after byte %d", at)
		}
		at += int64(n)
		ended := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		switch {
		case errA != nil && !ended:
			return errA
		case errB != nil && !errors.Is(errB, io.EOF) && !errors.Is(errB, io.ErrUnexpectedEOF):
			return errB
		case ended && at != c.size:
			return fmt.Errorf("%d bytes came, %d were sent", at, c.size)
		case ended && [32]byte(h.Sum(nil)) != c.sum:
			return errors.New("what came has another SHA-256 than what was sent")
		case ended:
			return nil
		}
	}
}

// secrets are what nobody but sender and recipients may learn of the content.
func (c *content) secrets() ([]secret, error) {
	var out []secret
	add := func(what, s string) {
		if len(s) >= leastNeedle {
			out = append(out, secret{what, []byte(s)})
		}
	}
	add("text", c.text)
	add("file name", c.name)
	add("caption", c.caption)
	add("media type", c.typ)
	if c.path == "" {
		return out, nil
	}
	f, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := samples(f, c.size)
	for _, b := range all {
		out = append(out, secret{"sample of a file", b})
	}
	return out, err
}
