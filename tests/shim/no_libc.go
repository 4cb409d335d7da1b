// Go's programs have no libc; built with -buildmode=pie, they have a loader.
package main

import "os"

func main() {
	os.Stdout.WriteString("fine\n")
}
