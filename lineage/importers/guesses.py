"""What a column's name and type suggest. Guesses for a draft that a person reads, nothing more."""

from __future__ import annotations

import re
from dataclasses import replace

from lineage.importers.lexicon import EMAIL_TERMS, GUESSES
from lineage.importers.terms import BINARY, DATE, NUMBER, TEXT, Guess, pattern
from lineage.importers.words import column_words, folded, words
from lineage.schema import Column, Table

__all__ = ["Guess", "guess", "guesses_of", "names_actor", "names_people", "names_person"]

_KINDS = (
    (re.compile(r"char|text|clob|string|enum|name|json|inet|macaddr|^$", re.IGNORECASE), TEXT),
    (re.compile(r"date|timestamp", re.IGNORECASE), DATE),
    (re.compile(r"bool|^bit|interval|^time|uuid", re.IGNORECASE), ""),
    (re.compile(r"blob|bytea|binary|image|point|geo", re.IGNORECASE), BINARY),
    (re.compile(r"int|serial|num|dec|real|double|float|money|^year", re.IGNORECASE), NUMBER),
)
# A type that says by itself what it is for.
_BY_TYPE = (
    (re.compile(r"^inet[46]?$", re.IGNORECASE), "user.device.ip_address"),
    (re.compile(r"^macaddr8?$", re.IGNORECASE), "user.device.device_id"),
    (re.compile(r"^(point|geography|geometry)\b", re.IGNORECASE), "user.location.precise"),
)
# Facts about a value, not the value: email_verified, phone_id, last_name_changed_at, is_email.
_ABOUT_AFTER = re.compile(
    r" (verified|confirmed|valid|validated|at|count|ids?|status|type|typ|sent|opt|optin|flag|hash|"
    r"template|format|enabled|frequency|length|lang|provider|domain|bestatigt|anzahl|verifie|"
    r"verificado|verificato)\b"
)
_ABOUT_BEFORE = re.compile(r"^(is|has|hat|ist|count|anzahl|nb|can|allow|enable|send|show|hide)\b")
_FIRST, _LAST = "user.name.first", "user.name.last"
_BARE_NAME = next(g for g in GUESSES if g.bare)
_PEOPLE_TERMS = (
    "user,users,customer,customers,client,clients,person,persons,people,member,members,contact,"
    "contacts,employee,employees,staff,patient,patients,student,students,teacher,teachers,guest,"
    "guests,subscriber,subscribers,passenger,passengers,applicant,applicants,candidate,"
    "candidates,donor,donors,kunde,kunden,benutzer,nutzer,personen,mitarbeiter,angestellte,"
    "patienten,mitglied,mitglieder,schüler,studenten,lehrer,gast,gäste,kontakt,kontakte,"
    "ansprechpartner,bewerber,teilnehmer,abonnent,abonnenten,mieter,utilisateur,utilisateurs,"
    "personne,personnes,salarie,salaries,employe,employes,adherent,adherents,membre,membres,"
    "eleve,eleves,etudiant,etudiants,abonne,abonnes,contacto,contactos,cliente,clientes,usuario,"
    "usuarios,persona,personas,empleado,empleados,paciente,pacientes,miembro,miembros,alumno,"
    "alumnos,estudiante,estudiantes,socio,socios,clienti,utente,utenti,persone,dipendente,"
    "dipendenti,paziente,pazienti,studente,studenti,soci,klant,klanten,gebruiker,gebruikers,"
    "persoon,personeel,medewerker,medewerkers,werknemer,werknemers,leden,leerling,leerlingen,"
    "patienten,pessoa,pessoas,utilizador,utilizadores,funcionario,funcionarios,membro,membros,"
    "aluno,alunos,klient,klienci,uzytkownik,uzytkownicy,osoba,osoby,pracownik,pracownicy,"
    "pacjent,pacjenci,uczen,uczniowie,czlonek,czlonkowie"
)
_PEOPLE = pattern(",".join(f"{term}$" for term in _PEOPLE_TERMS.split(",")))
# Words before "email" with which it is still the row's own: kunden_email, but not billing_email.
_OWNER = re.compile(
    rf"^(?:(?:{folded(_PEOPLE_TERMS).replace(',', '|')}|account|login|primary|my) )?"
)
_ADDRESS_OF_ROW = pattern(
    EMAIL_TERMS.replace("*", "") + ",e mail adresse,e mail address,e mail addr,mail"
)
_ACTOR = re.compile(
    r"\b(created|updated|modified|changed|deleted|approved|reviewed|assigned|handled|processed|"
    r"closed|reports)( by| to)\b|\b(assignee|reviewer|approver|manager|supervisor|rep|agent|clerk)"
    r"\b|\b(erstellt|angelegt|geandert|geaendert|bearbeitet|geloscht|geloescht|freigegeben|"
    r"genehmigt)( von| durch)\b|\b(sachbearbeiter|bearbeiter|betreuer|verkaufer|verkaeufer|"
    r"vorgesetzter?|vertreter|\w*leiter(in)?|dozent(in)?|trainer(in)?|"
    r"referent(in)?|instructor|coach|lecturer|tutor|moderator|organi[sz]er|host)\b|"
    r"\b(cree|modifie|supprime|valide|saisi)( par)\b|"
    r"\b(vendeur|gestionnaire|responsable)\b|\b(creado|modificado|actualizado|criado)( por)\b|"
    r"\b(vendedor|gestor)\b|\b(creato|modificato)( da)\b|\bvenditore\b|"
    r"\b(aangemaakt|gewijzigd)( door)\b|\bverkoper\b|\b(utworzone|utworzony|zmienione)( przez)\b"
)


def guess(column: Column, name: str | None = None) -> Guess | None:
    """What the column seems to hold, None for nothing personal. ``name``: the words to go by,
    where they are not the whole name's."""
    text = words(column.name) if name is None else name
    kind = _kind(column.data_type)
    if kind and not _ABOUT_BEFORE.search(text):
        for candidate in GUESSES:
            match = candidate.found.search(text)
            if match and kind in candidate.types and not _ABOUT_AFTER.search(text, match.end()):
                return candidate
    category = next((c for p, c in _BY_TYPE if p.search(column.data_type)), None)
    return Guess(category=category, strong=False, note="by its type") if category else None


def _kind(data_type: str) -> str:
    return next((kind for found, kind in _KINDS if found.search(data_type)), "")


def guesses_of(table: Table) -> dict[str, Guess]:
    """The guesses for a table's columns, each seen beside the others: a bare ``nom`` is the last
    name beside ``prenom``, and a ``name`` in a table called ``customer`` is a person's."""
    names = column_words(table)
    found = {}
    for column in table.columns:
        one = guess(column, names[column.name])
        if one is not None:
            found[column.name] = one
    known = {g.category for g in found.values() if g.category in (_FIRST, _LAST)}
    bare = [name for name, g in found.items() if g == _BARE_NAME]
    for name in bare:
        if len(known) == 1 and len(bare) == 1:
            (other,) = {_FIRST, _LAST} - known
            note = "beside the other part of a name"
            found[name] = replace(_BARE_NAME, category=other, strong=True, note=note)
        elif names_people(table.name):
            note = "in a table named after people"
            found[name] = replace(_BARE_NAME, strong=True, note=note)
    return found


def names_people(name: str) -> bool:
    """The name of a table in which each row is somebody."""
    return _PEOPLE.search(words(name)) is not None


def names_person(column: Column, name: str | None = None) -> bool:
    """An email column that says who the row is: not a billing or a support address."""
    text = words(column.name) if name is None else name
    found = guess(column, text)
    if found is None or found.category != "user.contact.email":
        return False
    return _ADDRESS_OF_ROW.fullmatch(_OWNER.sub("", text)) is not None


def names_actor(column: str) -> bool:
    """A reference to somebody who handles the row, whose row it is not: ``created_by``."""
    return _ACTOR.search(words(column)) is not None
