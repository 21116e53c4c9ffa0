package contents

import (
	"sync/atomic"

	"github.com/signgate/signgate/internal/fault"
)

// The bounds of an image, and of what a layer may hold.
const (
	maxManifest = 4 << 20 // bytes; also of a config
	maxLayers   = 1000
	maxBytes    = 64 << 30  // of all layers, packed and unpacked
	maxEntries  = 1_000_000 // of all layers together, with the directories that these imply; and of the tree that they make
	maxText     = 128 << 20 // bytes of the names of these

	// A layer may unpack to so many times its size, once it has unpacked to more
	// than freeBytes. Deflate reaches 1032.
	maxRatio  = 200
	freeBytes = 1 << 30

	maxPath  = 4096 // bytes, PATH_MAX
	maxName  = 255  // bytes of a part of a path, NAME_MAX
	maxDepth = 256  // parts of a path

	maxWindow = 32 << 20 // bytes that a zstd decoder looks back; RFC 8878 asks for 8 MiB
)

// budget is what is left for all layers of one image. It is safe for concurrent
// use.
type budget struct {
	bytes, entries, text atomic.Int64
	free                 int64 // bytes that any layer may unpack to
}

func newBudget() *budget {
	b := &budget{free: freeBytes}
	b.bytes.Store(maxBytes)
	b.entries.Store(maxEntries)
	b.text.Store(maxText)
	return b
}

// share is what one layer takes of a budget.
type share struct {
	of                   *budget
	bytes, entries, text int64
}

func (s *share) takeBytes(n int64) error {
	if s.bytes += n; s.of.bytes.Add(-n) < 0 {
		return tooMuch("its layers unpack to more than %d bytes", int64(maxBytes))
	}
	return nil
}

func (s *share) takeEntry(text int) error {
	s.entries, s.text = s.entries+1, s.text+int64(text)
	entries, names := s.of.entries.Add(-1), s.of.text.Add(-int64(text))
	if entries < 0 || names < 0 {
		return tooMuch("its layers have more than %d files, or more than %d bytes of names", maxEntries, maxText)
	}
	return nil
}

// giveBack undoes what a layer took, which is going to be read again.
func (s *share) giveBack() {
	s.of.bytes.Add(s.bytes)
	s.of.entries.Add(s.entries)
	s.of.text.Add(s.text)
}

func tooMuch(format string, args ...any) error {
	return fault.Undecidedf("limit_exceeded", "attest its layers alone, or build a smaller image", "the image is more than signgate reads: "+format, args...)
}
