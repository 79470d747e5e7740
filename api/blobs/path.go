package blobs

import (
	"strconv"

	"github.com/reseal/reseal/message"
)

// Path is where one blob is found below the server's address. The id in it is
// no secret: reading takes the capability, which never stands in a path.
func Path(id message.BlobID) string { return Root + "/" + EncodeBytes(id[:]) }

// PartPath is where part n is put.
func PartPath(id message.BlobID, n int) string {
	return Path(id) + "/parts/" + strconv.Itoa(n)
}

// SegmentsPath is where the segment list is put and read.
func SegmentsPath(id message.BlobID) string { return Path(id) + "/segments" }

// CompletePath is where an upload is completed, by POST.
func CompletePath(id message.BlobID) string { return Path(id) + "/complete" }

// ContentPath is where the ciphertext is read.
func ContentPath(id message.BlobID) string { return Path(id) + "/content" }

// ParsePart reads the number of a part: 0 to [MaxParts]-1 in decimal, without
// sign or leading zeros, so that a part has one path.
func ParsePart(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n >= MaxParts || strconv.Itoa(n) != s {
		return 0, ErrEncoding
	}
	return n, nil
}
