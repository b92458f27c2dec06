package fault

import (
	"encoding/binary"
	"hash/maphash"
)

// A Sum stands for some texts where they need not be kept: Sums are equal when
// the texts were, and differ but for one chance in 2⁶⁴ when they were not. It
// means nothing to another process.
type Sum uint64

// seed is by chance, so that nobody can make two texts of one Sum.
var seed = maphash.MakeSeed()

// SumOf returns the Sum of texts, of which each counts in its place.
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
