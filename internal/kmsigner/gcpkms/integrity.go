package gcpkms

import (
	"hash/crc32"
	"strconv"

	"github.com/signgate/signgate/internal/fault"
)

// checksum returns the CRC32C of data (Castagnoli, RFC 3720 section 12.1) as
// the API writes it: an Int64Value, which is a decimal string in JSON.
func checksum(data []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), 10)
}

// verifyChecksum compares data with the checksum of an answer. One that differs
// may pass with the next attempt, as the API reference says of each of these
// fields; one that is missing is for good.
func verifyChecksum(of, name string, data []byte, got *string) error {
	if got == nil {
		return fault.Undecidedf("kms_integrity", "check what answers in place of Cloud KMS", "Cloud KMS returned %s of %s without its checksum", of, name)
	}
	if *got != checksum(data) {
		return damaged("Cloud KMS returned " + of + " of " + name + " with a checksum that does not match")
	}
	return nil
}

func damaged(what string) error {
	return fault.Transientf("kms_integrity", "run the command again; if it stays, look for a proxy or an endpoint override before Cloud KMS", "%s", what)
}
