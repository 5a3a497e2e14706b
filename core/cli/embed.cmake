# SPDX-License-Identifier: Apache-2.0
# Makes files part of the program: cmake -DFOLDER=new -DFILES=a;b -DNAME=plugin_files -DSOURCE=x.c -P embed.cmake
include(${CMAKE_CURRENT_LIST_DIR}/../bytes.cmake)

set(rows "")
set(arrays "")
foreach(file IN LISTS FILES)
  string(MAKE_C_IDENTIFIER "${file}" identifier)
  read_bytes("${FOLDER}/${file}" bytes)
  string(APPEND arrays "static const unsigned char ${identifier}[] = {\n\t${bytes}\n};\n")
  string(APPEND rows "\t{ \"${file}\", { (const char *)${identifier}, sizeof ${identifier} } },\n")
endforeach()
file(WRITE "${SOURCE}" "#include \"cli/plugin.h\"\n\n${arrays}\nconst struct plugin_file ${NAME}[] = {\n${rows}\t{ 0 },\n};\n")
