# SPDX-License-Identifier: Apache-2.0
# Makes files part of the program, as they are: cmake "-DFILES=index.html|page.css|Page.min.js" -DNAME=web_page_files -DSOURCE=files.c
# -P embed_files.cmake. They are at "/", "/page.css", "/page.js".
include(${CMAKE_CURRENT_LIST_DIR}/../bytes.cmake)

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")

set(arrays "")
set(rows "")
string(REPLACE "|" ";" files "${FILES}")
foreach(file IN LISTS files)
  get_filename_component(path "${file}" NAME)
  string(TOLOWER "/${path}" path)
  string(REGEX REPLACE "^/index.html$" "/" path "${path}")
  string(REPLACE ".min." "." path "${path}")
  string(REGEX MATCH "[a-z]+$" extension "${file}")
  string(MAKE_C_IDENTIFIER "file${path}" array)
  file(SHA256 "${file}" digest)
  read_bytes("${file}" bytes)
  string(APPEND arrays "static const unsigned char ${array}[] = {\n\t${bytes}\n};\n\n")
  string(APPEND rows "\t{ \"${path}\", \"${type_${extension}}\", \"\\\"${digest}\\\"\", { (const char *)${array}, sizeof ${array} } },\n")
endforeach()
file(WRITE "${SOURCE}" "#include \"web/files.h\"

${arrays}const struct web_file ${NAME}[] = {
${rows}\t{ 0 },
};
")
