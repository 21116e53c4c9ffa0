package main

import (
	"context"
	"fmt"
	"strconv"
)

// bounds signs a hundred images with different numbers of images at a time.
func (b *bench) bounds(ctx context.Context) error {
	s, err := newSite(b.dir, bearer(20, 50))
	defer s.close()
	if err != nil {
		return err
	}
	samples := map[int][]sample{}
	for i := range b.n {
		for _, bound := range b.concurrency {
			b.say("sign 100 images, --concurrency %d, run %d of %d", bound, i+1, b.n)
			sample, err := b.trial(ctx, s, signBounded(b, s, bound), signgate)
			if err != nil {
				return fmt.Errorf("%d: %w", bound, err)
			}
			samples[bound] = append(samples[bound], sample)
		}
	}
	fmt.Fprintf(b.out, "\nsign 100 images with signgate sign --concurrency, %s registry, %s KMS\n", milliseconds(s.where.registry), milliseconds(s.where.kms))
	fmt.Fprintf(b.out, row, "", "requests", "KMS calls", "wall", "CPU", "memory", "")
	for _, bound := range b.concurrency {
		b.printRow(strconv.Itoa(bound), summarize(samples[bound]))
	}
	return nil
}

func signBounded(b *bench, s *site, bound int) maker {
	return func(context.Context, tool) (job, error) {
		images, err := s.pushMany(hundred)
		return job{
			commands: []command{b.signOurs(s, s.key, images, "--concurrency", strconv.Itoa(bound))},
			check:    b.signed(s, signgate, images, once(signgate)),
		}, err
	}
}
