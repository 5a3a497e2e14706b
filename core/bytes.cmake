# SPDX-License-Identifier: Apache-2.0
# For scripts that make files part of a program.

# A file's bytes, as the inside of an array in C.
function(read_bytes FILE RESULT)
  file(READ "${FILE}" bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n\t" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(${RESULT} "${bytes}" PARENT_SCOPE)
endfunction()
