package main

import (
	"os"
	"syscall"
)

// writeNew makes an empty file, and fails where there is anything of that name.
func writeNew(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// writeWhole writes the file so that nobody ever sees half of it.
func writeWhole(path string, content []byte) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// openAs opens what has to be of that kind (S_IFREG, S_IFIFO) without following a link, and not over exec.
func openAs(kind uint32, path string, flags int) (int, error) {
	file, err := syscall.Open(path, flags|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	var stat syscall.Stat_t
	if err = syscall.Fstat(file, &stat); err == nil && stat.Mode&syscall.S_IFMT != kind {
		err = syscall.EINVAL
	}
	if err != nil {
		_ = syscall.Close(file)
		return -1, err
	}
	return file, nil
}
