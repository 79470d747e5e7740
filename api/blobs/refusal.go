package blobs

// Message says c for people. It is constant, so that a refusal tells nothing
// that its code does not.
func (c Code) Message() string {
	if m, ok := messages[c]; ok {
		return m
	}
	return messages[Internal]
}

var messages = map[Code]string{
	Malformed:      "the request has a field, header or path of the wrong form",
	WrongLength:    "the body does not have the length that this part must have",
	WrongHash:      "the bytes received do not have the digest named in the request",
	NoSession:      "no live session: log in again",
	Quota:          "more than the account may store",
	NotFound:       "no such blob, or not with this capability",
	Method:         "no such call on this path",
	Slow:           "the bytes came too slowly",
	Conflict:       "this id or part is taken by other bytes: start again under a new id",
	MissingParts:   "not all parts and the segment list are here yet",
	TooLarge:       "longer than a blob or its segment list may be",
	BadRange:       "not one range within the content",
	TooManyUploads: "too many uploads of this account in progress: complete some first",
	Rate:           "too fast: come back after the time in Retry-After",
	Internal:       "the server has a fault; it is logged there",
	Unavailable:    "the server cannot do this now: try again",
	StorageFull:    "the server has no room left: try later",
}
