package main

// The version of this program, and the version of dkms whose commands, files and messages it is compatible with.
const (
	version    = "0.1.0"
	compatible = "3.4.3"
)

// release is what "dkms --version" prints, and the head of every make.log.
const release = "dkms-" + compatible + "+go" + version
