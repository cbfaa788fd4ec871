// A program that uses the standard library's tables.
package main

import (
	"fmt"
	"strconv"
	"unicode"
)

func main() {
	fmt.Println(strconv.Quote("request 3"), unicode.IsUpper('Ä'))
}
