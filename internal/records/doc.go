// Package records is the layout of the server's store: partitions, keys, and
// the encoding of every value, in one place. It is the whole of what a server
// keeps about anybody outside of blobs; TestFields dumps a populated store and
// fails on anything else.
//
//	partition            key                            kind     value
//	S                    key                            decided  hash of a key of the server's key file
//	I                    inv/hash                       decided  [Invite]
//	H/handle             id                             decided  account id
//	A/account            pw                             decided  [Password]
//	                     list                           decided  newest signed device list
//	                     lists/version                  once     signed device list of that version
//	                     share/row                      decided  [Shares]
//	                     book                           decided  [BookHead]
//	                     part/writer/n                  once     sealed part of the book
//	                     sess/hash                      decided  [Session]
//	                     cert/device/epoch              once     signed epoch certificate
//	                     epoch/device                   decided  number of the epoch published last
//	                     block/account                  decided  [Block]
//	                     reset                          decided  [Reset]
//	                     knows/period+pair              once     a version: see [AcquaintedKey]
//	                     strangers                      decided  [Strangers]
//	T/account/day        m/message                      once     [Message]: header, inline body, first wraps
//	                     s/message                      once     [Message]: the sender's and its holders' copy
//	                     w/message/device/maker/epoch   once     wrap that came later
//	                     e/message                      decided  end record
//	                     c/message/device/what          once     receipt
//	                     l/message                      decided  [Claim]
//	                     r/request                      once     signed retry request
//	                     q/device/time+mark             once     [Entry]: hint of what is new for a device
//
// The day of a T partition is the message's (the first four bytes of its id);
// that of retry requests, and of queue entries that tell of requests and
// notices, is the day of their making. A queue entry that tells of a message, a
// wrap, a receipt or an end is written in one batch with it, under a key that
// follows from it ([Entry.Mark]): it is put once, and not again after a device
// took it out. All T records expire. Values are TLS presentation language (RFC 8446, section 3)
// behind one version byte; a parser refuses every other version, every other
// length and trailing bytes with [ErrDamaged], which names a fault of the store
// and not of a caller.
package records
