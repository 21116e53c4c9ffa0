package main

import (
	"context"
	"fmt"
)

// once is what a program attaches to a manifest when it signs it.
func once(t tool) attached {
	if t == signgate {
		return attached{bundles: 1, layers: 1}
	}
	return attached{bundles: 1}
}

// signed returns a check of images that a program has signed: the other program
// verifies them and their platforms, and the registry holds for each manifest
// what it should, no less and no more.
func (b *bench) signed(s *site, by tool, images []image, want attached) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, err := b.must(ctx, b.verify(by.other(), s, s.key, images)); err != nil {
			return err
		}
		for _, img := range images {
			for _, ref := range img.refs() {
				if err := s.holds(ref, want); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (s *site) holds(ref string, want attached) error {
	got, err := s.attached(ref)
	if err == nil && got != want {
		err = fmt.Errorf("%s has %s, want %s", ref, got, want)
	}
	return err
}

// refuses returns a check of a key that has not signed an image: a program that
// passes whatever it is given does no work.
func (b *bench) refuses(t tool, s *site, stranger key, img image) func(context.Context) error {
	return func(ctx context.Context) error {
		e, err := b.run(ctx, b.verify(t, s, stranger, []image{img}))
		if err == nil && (e.Code == 0 || t == signgate && e.Code != 1) {
			err = fmt.Errorf("%s does not refuse a key that has not signed:\n%s", t, e)
		}
		return err
	}
}
