package blob

import "io"

// Piece names a part of an object by its number, or its segment list.
type Piece uint32

// SegmentList is the piece that holds the list of segment hashes.
const SegmentList Piece = 1 << 31

// Bytes keeps the pieces of objects. All methods may be called from many
// goroutines, also for one object. An object that does not exist (any more) is
// [ErrNotFound]; no method but Create brings one into being.
type Bytes interface {
	// Room returns ErrFull if n more bytes would leave too little free.
	Room(n uint64) error
	// Create makes an empty object, durably.
	Create(o Object) error
	// Put stores a piece of exactly size bytes with this SHA-256, read from src
	// with constant memory. It is all there and durable when Put returns nil.
	// The same piece again is no error; other bytes are ErrConflict. A src that
	// ends early is ErrLength, an error of src is returned as it is, other
	// bytes than the sum says are ErrHash.
	Put(o Object, p Piece, size int64, sum [32]byte, src io.Reader) error
	// Pieces returns the sizes of the pieces that are there.
	Pieces(o Object) (map[Piece]int64, error)
	// Open opens a piece to be read. If the result is an *os.File, the kernel
	// copies it to the connection.
	Open(o Object, p Piece) (io.ReadSeekCloser, error)
	// Sync makes all pieces durable once more before the object becomes a blob.
	Sync(o Object) error
	// Delete removes the object, durably. One that is not there is no error.
	Delete(o Object) error
}
