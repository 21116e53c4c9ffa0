package main

import (
	"context"
	"fmt"
)

// signing signs an image in a new repository, by its digest.
func signing(push func(*site) (image, error), more ...string) task {
	return func(_ context.Context, b *bench, s *site) (maker, error) {
		return func(_ context.Context, t tool) (job, error) {
			img, err := push(s)
			return job{
				commands: []command{b.sign(t, s, s.key, img, more...)},
				check:    b.signed(s, t, []image{img}, once(t)),
			}, err
		}, nil
	}
}

// signHundred signs images in as many repositories: signgate in one process,
// cosign in a loop.
func signHundred(_ context.Context, b *bench, s *site) (maker, error) {
	return func(_ context.Context, t tool) (job, error) {
		j := job{share: 1}
		if t == cosign && b.quick {
			j.share = 10
		}
		images, err := s.pushMany(hundred / j.share)
		if err != nil {
			return j, err
		}
		if t == signgate {
			j.commands = []command{b.signOurs(s, s.key, images)}
		} else {
			for _, img := range images {
				j.commands = append(j.commands, b.signTheirs(s, s.key, img))
			}
		}
		j.check = b.signed(s, t, images, once(t))
		return j, nil
	}, nil
}

// signAgain signs what the same program has signed with the same key. signgate
// finds its signatures, cosign adds another one.
func signAgain(_ context.Context, b *bench, s *site) (maker, error) {
	return func(ctx context.Context, t tool) (job, error) {
		img, err := s.push()
		if err != nil {
			return job{}, err
		}
		again, want := b.sign(t, s, s.key, img), once(t)
		if _, err := b.must(ctx, again); err != nil {
			return job{}, err
		}
		if t == cosign {
			want.bundles++
		}
		return job{commands: []command{again}, check: b.signed(s, t, []image{img}, want)}, nil
	}, nil
}

// verifyOne verifies an image that signgate has signed in both formats.
func verifyOne(ctx context.Context, b *bench, s *site) (maker, error) {
	img, err := s.push()
	if err != nil {
		return nil, err
	}
	if _, err := b.must(ctx, b.sign(signgate, s, s.key, img)); err != nil {
		return nil, err
	}
	if err := b.signed(s, signgate, []image{img}, once(signgate))(ctx); err != nil {
		return nil, err
	}
	return b.verifying(s, s.key, img)
}

// verifyOneOf verifies, with one of n keys, an image that has a bundle of each.
func verifyOneOf(n int, by tool) task {
	return func(ctx context.Context, b *bench, s *site) (maker, error) {
		img, err := s.push()
		if err != nil {
			return nil, err
		}
		keys, err := s.newKeys(n)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if _, err := b.must(ctx, b.sign(by, s, k, img, "--formats", "bundle")); err != nil {
				return nil, fmt.Errorf("setting up: %w", err)
			}
		}
		if err := s.holds(img.ref(), attached{bundles: n}); err != nil {
			return nil, err
		}
		return b.verifying(s, keys[n/2], img)
	}
}

// verifying verifies an image with a key, without the key service.
func (b *bench) verifying(s *site, k key, img image) (maker, error) {
	stranger, err := s.newKey()
	return func(_ context.Context, t tool) (job, error) {
		return job{
			commands: []command{b.verify(t, s, k, []image{img})},
			check:    b.refuses(t, s, stranger, img),
		}, nil
	}, err
}
