# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of qube(1) and its other names for bash: commands, names of qubes, properties, classes, tags.
_qube_names() {
    qube ls 2>/dev/null | awk 'NR > 1 { print $1 }'
}
_qube_properties() {
    qube prefs "$1" 2>/dev/null | awk '{ print $1 }'
}
_qube() {
    local word=${COMP_WORDS[COMP_CWORD]} name=${COMP_WORDS[0]##*/} at=1 command choices=
    # Of "qube COMMAND" and "qvm-COMMAND" the words behind have the same meaning.
    if [ "$name" = qube ]; then
        command=${COMP_WORDS[1]} at=2
    else
        command=${name#qvm-}
    fi
    case $((COMP_CWORD - at)):$command in
    -1:*) choices='clone create disposable kill log ls prefs remove run shutdown start tags volume --help' ;;
    0:ls) choices="--json --help" ;;
    0:create) ;;
    0:prefs | 0:tags | 0:volume) choices="--json $(_qube_names)" ;;
    0:run) choices="--user --gui --disposable --help $(_qube_names)" ;;
    0:*) choices=$(_qube_names) ;;
    1:create) choices='AppVM TemplateVM StandaloneVM' ;;
    1:prefs) choices=$(_qube_properties "${COMP_WORDS[at]}") ;;
    1:tags) choices='add del' ;;
    1:run)
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
        return
        ;;
    2:prefs)
        case ${COMP_WORDS[at + 1]} in
        label) choices='red orange yellow green gray blue purple black' ;;
        template | default_dispvm) choices=$(_qube_names) ;;
        autostart | template_for_dispvms) choices='yes no' ;;
        esac
        choices="--default $choices"
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}
complete -F _qube qube qvm-clone qvm-create qvm-kill qvm-ls qvm-prefs qvm-remove qvm-shutdown qvm-start qvm-tags qvm-volume
