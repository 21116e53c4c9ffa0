package main

// Both programs sign with a key of the key service, without a transparency log.
// signgate writes both formats and gates what it wrote, with the key as the
// trusted one; cosign writes one format.

// signOurs signs images with signgate, in one process.
func (b *bench) signOurs(s *site, k key, images []image, more ...string) command {
	args := append([]string{"sign", "--key", k.uri, "--trusted-keys", k.public}, more...)
	for _, img := range images {
		args = append(args, img.ref())
	}
	return command{b.path[signgate], args, s.env}
}

// signTheirs signs an image with cosign, in the new format. Without a trusted
// root it would look for one on the Internet.
func (b *bench) signTheirs(s *site, k key, img image) command {
	return b.cosignSign(s, k, img, "--signing-config", b.services, "--trusted-root", b.root)
}

// signTheirTag signs an image with cosign, in the old format.
func (b *bench) signTheirTag(s *site, k key, img image) command {
	return b.cosignSign(s, k, img, "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false")
}

func (b *bench) cosignSign(s *site, k key, img image, more ...string) command {
	args := append([]string{"sign", "--key", k.uri, "--yes"}, more...)
	if len(img.children) > 0 {
		args = append(args, "--recursive")
	}
	return command{b.path[cosign], append(args, img.ref()), s.env}
}

// sign signs an image with either program. What signgate is told besides, cosign
// has no flags for.
func (b *bench) sign(t tool, s *site, k key, img image, more ...string) command {
	if t == signgate {
		return b.signOurs(s, k, []image{img}, more...)
	}
	return b.signTheirs(s, k, img)
}

// verify verifies images with a public key. cosign looks at the digests that it
// is given; signgate looks at the platforms of an index, too.
func (b *bench) verify(t tool, s *site, k key, images []image, more ...string) command {
	if t == signgate {
		args := append([]string{"verify", "--trusted-keys", k.public}, more...)
		for _, img := range images {
			args = append(args, img.ref())
		}
		return command{b.path[signgate], args, s.env}
	}
	args := []string{"verify", "--key", k.public, "--insecure-ignore-tlog"}
	for _, img := range images {
		args = append(args, img.refs()...)
	}
	return command{b.path[cosign], args, s.env}
}
