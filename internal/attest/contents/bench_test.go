package contents_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/signgate/signgate/internal/attest/contents"
)

// BenchmarkRead reads an image of 64 MB in 4,000 files, one half of them text and
// one random. Bytes are those of the files.
func BenchmarkRead(b *testing.B) {
	const size, files = 16 << 10, 4000
	for _, layers := range []int{1, 4} {
		img := newImage()
		random := rand.NewChaCha8([32]byte{})
		for l := range layers {
			var list []file
			for i := range files / layers {
				body := make([]byte, size)
				if _, _ = random.Read(body); i%2 == 0 {
					for j := range body { // about as much as there is in text
						body[j] = "eeeetttaaooiinnsshhrrdlcumwfgypbvkjxqz     .,EAT"[body[j]%48]
					}
				}
				list = append(list, reg(fmt.Sprintf("usr/lib/package-%d/file-%d", l, i), string(body)))
			}
			img.layer(b, ociTar+"+gzip", archive(b, list...))
		}
		m := img.manifest(b)
		b.Run(fmt.Sprintf("layers=%d", layers), func(b *testing.B) {
			b.SetBytes(size * files)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := contents.Read(b.Context(), img, m, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
