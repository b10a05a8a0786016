# What is installed where (FHS), and the Debian package; deploy/package.sh makes it.
include(GNUInstallDirs)
include(${CMAKE_CURRENT_LIST_DIR}/version.cmake)

set(manual_dir ${CMAKE_BINARY_DIR}/manual)
set(manual_files ${manual_dir}/ibid.1 ${manual_dir}/ibid.bash ${manual_dir}/_ibid ${manual_dir}/ibid.fish)
add_custom_command(
  OUTPUT ${manual_files}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${manual_dir}
  COMMAND python3 ${CMAKE_SOURCE_DIR}/tools/manual.py $<TARGET_FILE:ibid> ${manual_dir}
  DEPENDS ibid ${CMAKE_SOURCE_DIR}/tools/manual.py VERBATIM)
add_custom_target(manual ALL DEPENDS ${manual_files})

# What the binary is made of (SPDX 2.3); dpkg knows the versions.
find_program(DPKG_QUERY dpkg-query)
if(DPKG_QUERY)
  set(sbom_file ${CMAKE_BINARY_DIR}/ibid.spdx.json)
  get_target_property(in_cache cache SOURCES)
  get_target_property(in_admin admin ibid_charts)
  set(compiled_in --llhttp $<IF:$<BOOL:${LLHTTP_ROOT}>,${LLHTTP_ROOT},debian>)
  if("index_centres_faiss.c" IN_LIST in_cache)
    list(APPEND compiled_in --faiss ${IBID_FAISS_ROOT})
  endif()
  if(in_admin)
    list(APPEND compiled_in --charts ${CMAKE_SOURCE_DIR}/deploy/charts/package-lock.json)
  endif()
  add_custom_command(
    OUTPUT ${sbom_file}
    COMMAND python3 ${CMAKE_SOURCE_DIR}/deploy/sbom.py $<TARGET_FILE:ibid> ${sbom_file} ${compiled_in}
    DEPENDS ibid ${CMAKE_SOURCE_DIR}/deploy/sbom.py ${CMAKE_SOURCE_DIR}/docs/dependencies.md
            ${CMAKE_SOURCE_DIR}/deploy/charts/package-lock.json VERBATIM)
  add_custom_target(sbom ALL DEPENDS ${sbom_file})
  install(FILES ${sbom_file} DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/ibid)
endif()

set(doc_dir ${CMAKE_INSTALL_DATADIR}/doc/ibid)
install(TARGETS ibid RUNTIME)
install(FILES ${manual_dir}/ibid.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${manual_dir}/ibid.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ibid)
install(FILES ${manual_dir}/_ibid DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${manual_dir}/ibid.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES README.md SECURITY.md DESTINATION ${doc_dir})
install(FILES LICENSE DESTINATION ${doc_dir} RENAME copyright)
install(DIRECTORY docs DESTINATION ${doc_dir})
install(DIRECTORY deploy/prometheus deploy/grafana deploy/kubernetes deploy/helm DESTINATION ${doc_dir}/examples
        PATTERN "*.sh" EXCLUDE)
install(FILES deploy/prices.yaml DESTINATION ${doc_dir}/examples)
install(FILES deploy/systemd/ibid.service DESTINATION lib/systemd/system)
install(FILES deploy/systemd/ibid.yaml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/ibid)
install(DIRECTORY DESTINATION ${CMAKE_INSTALL_DATADIR}/ibid/models)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the ibid project <ibid@example.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "caching proxy for LLM APIs that never pays twice for the same answer")
set(CPACK_PACKAGE_VERSION ${IBID_VERSION_TEXT})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-pip")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/deploy/systemd/conffiles)
include(CPack)
