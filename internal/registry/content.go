package registry

import (
	"sync"

	"github.com/signgate/signgate/internal/image"
)

// content keeps what was written and what was read and verified, by digest, so
// that it is not asked for again. It is bounded; what does not fit is read
// again.
type content struct {
	mu    sync.Mutex
	blobs map[string][]byte // owned by mu
	left  int               // bytes; owned by mu
}

// get returns the content that has the digest, hashed again.
func (c *content) get(digest string) ([]byte, bool) {
	c.mu.Lock()
	b, ok := c.blobs[digest]
	c.mu.Unlock()
	return b, ok && image.DigestOf(b) == digest
}

func (c *content) put(b []byte) {
	digest := image.DigestOf(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, has := c.blobs[digest]; has || len(b) > c.left || len(b) > maxContent/16 {
		return
	}
	if c.blobs == nil {
		c.blobs = map[string][]byte{}
	}
	c.blobs[digest], c.left = b, c.left-len(b)
}
