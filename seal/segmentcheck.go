package seal

// SegmentSpan is where segment i of the ciphertext lies: off and length in
// bytes; ok is false past the last one. The bytes before the first segment are
// salt and commitment, which the list has itself.
func (s *Segments) SegmentSpan(i uint64) (off uint64, n int, ok bool) {
	if i >= s.count() {
		return 0, 0, false
	}
	off, n = s.span(i)
	return off, n, true
}

// CheckSegment reports whether b is segment i of the ciphertext, so that a
// download can refuse a segment as it comes.
func (s *Segments) CheckSegment(i uint64, b []byte) bool {
	return i < s.count() && s.matches(i, b)
}
