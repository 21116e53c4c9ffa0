package contents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// packing is how a layer is compressed.
type packing int

const (
	unknown packing = iota
	unpackedTar
	gzipped
	zstandard
)

// layerTypes are the media types of layers that are read. Those of layers that
// registries do not hold ("nondistributable", "foreign") and of encrypted ones are
// not among them.
var layerTypes = map[string]packing{
	"application/vnd.oci.image.layer.v1.tar":            unpackedTar,
	"application/vnd.oci.image.layer.v1.tar+gzip":       gzipped,
	"application/vnd.oci.image.layer.v1.tar+zstd":       zstandard,
	"application/vnd.docker.image.rootfs.diff.tar":      unpackedTar,
	"application/vnd.docker.image.rootfs.diff.tar.gzip": gzipped,
	"application/vnd.docker.image.rootfs.diff.tar.zstd": zstandard,
}

// configTypes are the media types of the configs that have diff IDs.
var configTypes = map[string]bool{
	"application/vnd.oci.image.config.v1+json":       true,
	"application/vnd.docker.container.image.v1+json": true,
}

type manifest struct {
	Config Descriptor   `json:"config"`
	Layers []Descriptor `json:"layers"`
}

type config struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// open reads the manifest and the config.
func open(ctx context.Context, src Source, body []byte) (Contents, error) {
	var m manifest
	if len(body) > maxManifest || image.Crowded(body) {
		return Contents{}, notImage("its manifest is too large")
	}
	if err := errors.Join(json.Unmarshal(body, &m), image.CheckNames(body, "annotations")); err != nil {
		return Contents{}, notImage("its manifest cannot be read: %w", err)
	}
	if err := m.check(); err != nil {
		return Contents{}, err
	}
	conf, err := readConfig(ctx, src, m.Config)
	if err != nil {
		return Contents{}, err
	}
	if len(conf.RootFS.DiffIDs) != len(m.Layers) {
		return Contents{}, notImage("its config has %d layers and its manifest %d", len(conf.RootFS.DiffIDs), len(m.Layers))
	}
	c := Contents{Platform: strings.Trim(conf.OS+"/"+conf.Architecture+"/"+conf.Variant, "/"), Layers: make([]Layer, len(m.Layers))}
	for i, l := range m.Layers {
		if c.Layers[i] = (Layer{l.Digest, l.MediaType, l.Size, conf.RootFS.DiffIDs[i]}); image.CheckDigest(c.Layers[i].DiffID) != nil {
			return Contents{}, notImage("its config has the diff ID %q", c.Layers[i].DiffID)
		}
	}
	return c, nil
}

func (m manifest) check() error {
	if !configTypes[m.Config.MediaType] {
		return notImage("its config is of the type %q", m.Config.MediaType)
	}
	var total int64
	for _, l := range append(m.Layers, m.Config) {
		if l.Size < 0 || l.Size > maxBytes || image.CheckDigest(l.Digest) != nil {
			return notImage("it names %q with %d bytes", l.Digest, l.Size)
		}
		if total += l.Size; total > maxBytes {
			return tooMuch("its layers have more than %d bytes", int64(maxBytes))
		}
	}
	if len(m.Layers) > maxLayers {
		return tooMuch("it has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	for _, l := range m.Layers {
		if layerTypes[l.MediaType] == unknown {
			return unsupported(l)
		}
	}
	return nil
}

func unsupported(l Descriptor) error {
	why := "which signgate does not read"
	switch {
	case strings.Contains(l.MediaType, "nondistributable") || strings.Contains(l.MediaType, "foreign"):
		why = "which is not in the registry, but where its urls say"
	case strings.Contains(l.MediaType, "encrypted"):
		why = "which is encrypted"
	}
	return fault.Refusedf("contents_layer_unsupported", "build the image with layers that are in the registry: tar, gzip or zstd", "the layer %s is of the type %q, %s", l.Digest, l.MediaType, why)
}

func readConfig(ctx context.Context, src Source, d Descriptor) (c config, err error) {
	if d.Size > maxManifest {
		return c, tooMuch("its config has %d bytes, more than %d", d.Size, maxManifest)
	}
	err = again(ctx, "reading "+d.Digest, func(ctx context.Context) error {
		body, err := readAll(ctx, src, d)
		if err != nil {
			return err
		}
		if image.Crowded(body) {
			return notImage("its config has too many values")
		}
		if err := errors.Join(json.Unmarshal(body, &c), image.CheckNames(body, "config", "container_config", "history")); err != nil {
			return notImage("its config cannot be read: %w", err)
		}
		return nil
	})
	return c, err
}

func readAll(ctx context.Context, src Source, d Descriptor) ([]byte, error) {
	body, err := src.Blob(ctx, d.Digest, d.Size)
	if err != nil {
		return nil, lasting(err)
	}
	defer body.Close()
	data := make([]byte, d.Size+1) // one more, so that the source comes to its end
	n, err := io.ReadFull(body, data)
	switch {
	case err == nil || err == io.ErrUnexpectedEOF && int64(n) != d.Size:
		return nil, fmt.Errorf("%s has not the %d bytes that were named", d.Digest, d.Size)
	case err != io.ErrUnexpectedEOF && err != io.EOF:
		return nil, err
	}
	return data[:n], nil
}

func notImage(format string, args ...any) error {
	return fault.Refusedf("contents_not_an_image", "give the digest of the manifest of one platform's image", "it has no contents of layers and files: "+format, args...)
}
