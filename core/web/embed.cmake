# SPDX-License-Identifier: Apache-2.0
# Makes a page part of the program: cmake -DPAGE=live.html -DNAME=web_live_page -DSOURCE=live.c -P embed.cmake
# A page has one <script> and one <style>; their hashes stand in its Content-Security-Policy, so nothing else runs.
include(${CMAKE_CURRENT_LIST_DIR}/../bytes.cmake)

# A digest, 64 hexadecimal digits, in base64: each three digits are two characters.
function(to_base64 DIGEST RESULT)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  set(text "")
  foreach(start RANGE 0 63 3)
    string(SUBSTRING "${DIGEST}00" ${start} 3 digits)
    math(EXPR high "0x${digits} >> 6")
    math(EXPR low "0x${digits} & 63")
    string(SUBSTRING "${alphabet}" ${high} 1 first)
    string(SUBSTRING "${alphabet}" ${low} 1 second)
    string(APPEND text "${first}${second}")
  endforeach()
  string(REGEX REPLACE "A$" "=" text "${text}") # 43 characters say all; the 44th is padding
  set(${RESULT} "${text}" PARENT_SCOPE)
endfunction()

function(hash_element NAME RESULT)
  string(REGEX MATCHALL "<${NAME}[ >]" starts "${html}")
  list(LENGTH starts n)
  if(NOT n EQUAL 1 OR NOT html MATCHES "<${NAME}>(.*)</${NAME}>")
    message(FATAL_ERROR "${PAGE} must have one <${NAME}>, without attributes")
  endif()
  string(SHA256 digest "${CMAKE_MATCH_1}")
  to_base64("${digest}" base64)
  set(${RESULT} "${base64}" PARENT_SCOPE)
endfunction()

file(READ "${PAGE}" html)
hash_element(script script_sha256)
hash_element(style style_sha256)
read_bytes("${PAGE}" bytes)
file(WRITE "${SOURCE}" "#include \"web/page.h\"

static const unsigned char bytes[] = {
\t${bytes}
};

const struct web_page ${NAME} = {
\t.html = { (const char *)bytes, sizeof bytes },
\t.script_sha256 = \"${script_sha256}\",
\t.style_sha256 = \"${style_sha256}\",
};
")
