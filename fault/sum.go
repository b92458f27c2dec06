package fault

import (
	"encoding/binary"
	"hash/maphash"
)

// A Sum is a hash of texts, used to detect a change without storing them. Equal
// texts have equal Sums; different texts have different Sums except with
// probability 2⁻⁶⁴. A Sum is valid within one process only.
type Sum uint64

// seed is random, so that collisions cannot be constructed.
var seed = maphash.MakeSeed()

// SumOf returns the Sum of the texts in their order.
func SumOf(texts ...[]byte) Sum {
	var h maphash.Hash
	h.SetSeed(seed)
	var size [8]byte
	for _, text := range texts {
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		_, _ = h.Write(size[:]) // a Hash's Write does not fail
		_, _ = h.Write(text)
	}
	return Sum(h.Sum64())
}
