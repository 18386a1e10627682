"""What columns of people are called: English, German, French, Spanish, Italian, Dutch, Portuguese,
Polish, and the names of national numbers elsewhere.

A *strong* term tells by itself that a column holds this. A *weak* one (a city, a note) says so
only in a table that is about people for another reason: lookup tables have cities too.
"""

from __future__ import annotations

from lineage.importers.terms import BINARY, DATE, NUMBER, TEXT, Guess

EMAIL_TERMS = (
    "e mail,e mails,*email,email ad*,*mail adresse,*mail address,mail addr,adresse e mail,"
    "adresse mail,courriel,adresse courriel,correo electronico,=correo,posta elettronica,"
    "indirizzo e mail,indirizzo mail,e post,adres e mail,endereco e mail,direccion correo"
)

# The first that matches the name's words wins.
GUESSES = (
    Guess(category="user.contact.email", terms=EMAIL_TERMS),
    Guess(category="user.contact.email", terms="=mail,=mails,mail$", strong=False),
    Guess(
        category="user.device.ip_address",
        terms="ip,i pv,ip addr,ip address,ip adresse,remote addr,remote address,client ip,"
        "adresse ip,indirizzo ip,direccion ip,ip adres",
        types=TEXT + NUMBER + BINARY,
    ),
    Guess(
        category="user.device.device_id",
        terms="mac addr,mac address,mac adresse,=mac,imei,imsi,advertising id,idfa,gaid,idfv",
    ),
    Guess(
        category="user.device.device_id",
        terms="device serial,device id,device identifier,geräte id,android id",
        strong=False,
    ),
    Guess(category="user.device.cookie_id", terms="cookie id,cookie,visitor id", strong=False),
    Guess(category="user.device", terms="user agent,useragent,browser$", strong=False),
    Guess(
        category="user.contact.fax_number",
        terms="fax,telefax,faxnummer,faxnr,telecopie,telecopieur,faks,fax number",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.contact.phone_number",
        terms="*phone,*phone number,*phone no,*phone nr,mobile$,mobile number,mobile no,cell$,"
        "cell number,landline,msisdn,tel,telnr,*telefon,*telefonnummer,*telefonnr,*telefon nummer,"
        "*telefon nr,handy$,handynummer,handynr,handy nr,mobil$,mobilnummer,mobilnr,mobil nr,"
        "mobilfunk*,mobiltelefon,festnetz*,rufnummer,telephone,numero tel,num tel,telefono,"
        "telefonos,tlf,tfno,movil,celular,cellulare,telefoon,*telefoonnummer,telefoon nr,mobiel,"
        "mobiel nummer,gsm nummer,=gsm,telefone,telemovel,telefonu,nr telefonu,komorka,komorkowy,"
        "tel kom,whatsapp",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.contact.phone_number",
        terms="=extension,portable$,=fon,durchwahl",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.demographic",
        terms="birth place,place of birth,birth city,birth country,city of birth,country of birth,"
        "geburtsort,geburtsland,lieu naissance,lieu de naissance,lugar nacimiento,"
        "lugar de nacimiento,luogo nascita,luogo di nascita,comune nascita,comune di nascita,"
        "geboorteplaats,geboorteland,local nascimento,naturalidade,miejsce urodzenia",
    ),
    Guess(
        category="user.demographic",
        terms="nationality,nationalität,staatsangehörigkeit,staatsbürgerschaft,citizenship,"
        "nationalite,nacionalidad,nazionalita,cittadinanza,nationaliteit,nacionalidade,"
        "obywatelstwo",
        strong=False,
    ),
    Guess(
        category="user.demographic.date_of_birth",
        terms="birth date,birth day,date of birth,dob,born$,birth year,year of birth,"
        "*geburtsdatum,geburtstag,geburtsjahr,geb datum,geb dat,geb tag,geb jahr,=geb,"
        "date naissance,date de naissance,annee naissance,annee de naissance,=naissance,=ne le,"
        "fecha nacimiento,fecha de nacimiento,fecha nac,fec nac,fec nacimiento,f nacimiento,fnac,"
        "ano nacimiento,data nascita,data di nascita,anno nascita,geboortedatum,geboorte datum,"
        "geboortejaar,geboren$,data nascimento,data de nascimento,dt nascimento,dt nasc,data nasc,"
        "data urodzenia,rok urodzenia,data ur",
        types=TEXT + NUMBER + DATE,
    ),
    Guess(
        category="user.name",
        terms="first last name,first and last name,vor nachname,vor und nachname,nom prenom,"
        "nom et prenom,prenom nom,nombre apellidos,nombre y apellidos,nome cognome,nome e cognome,"
        "cognome nome,voor en achternaam,imie nazwisko,imie i nazwisko",
    ),
    Guess(
        category="user.name.first",
        terms="first name,first names,given name,given names,fore name,middle name,middle names,"
        "fname,fst name,vorname,vornamen,rufname,prenom,prenoms,nombre de pila,nombre pila,"
        "primer nombre,segundo nombre,nome proprio,primo nome,primeiro nome,voornaam,voornamen,"
        "imie,imiona,pierwsze imie,drugie imie",
    ),
    Guess(
        category="user.name.last",
        terms="last name,family name,sur name,maiden name,birth name,lname,nachname,familienname,"
        "zuname,geburtsname,mädchenname,nom de famille,nom famille,nom de naissance,nom naissance,"
        "nom usage,apellido,apellidos,primer apellido,segundo apellido,apellido paterno,"
        "apellido materno,cognome,cognome nascita,achternaam,familienaam,geslachtsnaam,"
        "meisjesnaam,sobrenome,apelido,ultimo nome,nome de familia,nazwisko,nazwisko panienskie,"
        "nazwisko rodowe",
    ),
    Guess(
        category="user.account.username",
        terms="user name,login name,login id,nick name,nice name,screen name,=login,user login,"
        "benutzername,nutzername,benutzerkennung,anmeldename,spitzname,nom utilisateur,"
        "nom d utilisateur,=pseudo,pseudonyme,nombre usuario,nombre de usuario,nome utente,"
        "gebruikersnaam,nome usuario,nome de usuario,nome utilizador,nazwa uzytkownika,"
        "login uzytkownika",
    ),
    Guess(
        category="user.authorization.password",
        terms="password,passwd,pwd,user pass,passwort,kennwort,mot de passe,mot passe,mdp,"
        "contrasena,parola chiave,wachtwoord,senha,palavra passe,haslo,password hash,passwort hash",
    ),
    Guess(
        category="user.government_id.passport_number",
        terms="passport,passport no,passport number,reisepass*,passnummer,pass nr,passeport,"
        "pasaporte,passaporto,paspoort*,passaporte,paszport*,numer paszportu",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.government_id.drivers_license_number",
        terms="driver license,driver licence,drivers license,drivers licence,driving license,"
        "driving licence,führerschein*,permis conduire,permis de conduire,permiso conducir,"
        "permiso de conducir,carnet de conducir,licencia conducir,patente guida,patente di guida,"
        "rijbewijs*,carta de conducao,carta conducao,cnh,prawo jazdy",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.government_id.vehicle_registration",
        terms="license plate,licence plate,number plate,plate number,vehicle registration,"
        "kfz kennzeichen,autokennzeichen,immatriculation,plaque immatriculation,matricula coche,"
        "matricula vehiculo,=targa,kenteken,placa veiculo,nr rejestracyjny,numer rejestracyjny,"
        "tablica rejestracyjna",
    ),
    Guess(
        category="user.government_id",
        terms="personalausweis*,ausweisnummer,ausweis nr,carte identite,carte d identite,cni,"
        "documento identidad,documento identita,carta identita,carta d identita,identiteitskaart*,"
        "identity card,identity document,id card number,cartao cidadao,numer dowodu,nr dowodu,"
        "dowod osobisty",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.government_id.national_identification_number",
        terms="ssn,social security,social security number,national id,national identity,"
        "national identification,national insurance*,nino,tax id,taxpayer id,=nin,itin,sin number,"
        "personal number,personal id number,steuer id,steuer nr,steuernummer,steuerid,"
        "steueridentifikation*,sozialversicherung*,svnr,sv nr,sv nummer,rentenversicherung*,ahv,"
        "ahv nr,ahv nummer,numero insee,num insee,nir,num secu,numero secu,"
        "numero de securite sociale,numero securite sociale,securite sociale,avs nr,num fiscal,"
        "numero fiscal,numero spi,=dni,numero dni,nif,=nie,dni nie,codice fiscale,cod fiscale,"
        "cod fisc,=cf,bsn,burgerservicenummer,burgerservice nummer,sofinummer,sofi nummer,"
        "rijksregister*,registre national,numero national,niss,insz,cpf,pesel,personnummer,"
        "person nr,cpr,cpr nr,cpr nummer,hetu,henkilotunnus,fodselsnummer,kennitala,curp,oib,cnp,"
        "egn,rodne cislo,isikukood,asmens kodas,amka,pps number,ppsn,aadhaar,tckn,tc kimlik*",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.health_and_medical.insurance_beneficiary_id",
        terms="nhs number,nhs no,health insurance number,insurance number,krankenversicherten*,"
        "versichertennummer,versichertennr,kvnr,kv nummer,numero assure,numero mutuelle,"
        "numero afiliacion,tessera sanitaria,zorgpolis*,polisnummer,medicare number",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.financial.credit_card",
        terms="credit card,credit card number,card number,card no,card num,cc number,cc num,"
        "pan number,=pan,kreditkarte,kreditkartennummer,kreditkarten nr,kartennummer,karten nr,"
        "carte bancaire,carte credit,carte de credit,numero carte,tarjeta credito,"
        "tarjeta de credito,numero tarjeta,num tarjeta,carta credito,carta di credito,"
        "numero carta,kaartnummer,cartao credito,cartao de credito,numero cartao,karta kredytowa,"
        "numer karty",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.financial.bank_account",
        terms="iban,bank account,bankverbindung,bankkonto,kontoverbindung,compte bancaire,rib,"
        "cuenta bancaria,conto corrente,conto bancario,rekeningnummer,rekening nr,bankrekening*,"
        "conta bancaria,nib,conta corrente,rachunek bankowy,numer rachunku",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.financial.bank_account",
        terms="account number,account no,bic,swift,swift code,sort code,routing number,"
        "kontonummer,kontonr,konto nr,konto nummer,blz,bankleitzahl,numero compte,num compte,"
        "numero cuenta,numero de cuenta,num cuenta,ccc,numero conto,numero conta,numer konta,"
        "nr konta",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.financial",
        terms="salary,wage,wages,income,acct bal,account balance,credit limit,credit score,gehalt,"
        "lohn,einkommen,kontostand,salaire,revenu annuel,salario,sueldo,ingresos,stipendio,"
        "reddito,salaris,inkomen,rendimento,wynagrodzenie,pensja,dochod",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.contact.address.postal_code",
        terms="postal code,post code,zip,zip code,*plz,*postleitzahl,code postal,codigo postal,"
        "cod postal,cod post,codice postale,codice avviamento postale,kod pocztowy,post nr,"
        "postnummer,psc",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.contact.address.postal_code",
        terms="=cp,=cap,=cep,cep$",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.contact.url",
        terms="home page,web site,web page,web address,webadresse,internetseite,site web,"
        "site internet,sitio web,pagina web,sito web,=sito,strona www,strona internetowa,"
        "profile url,blog url",
        strong=False,
    ),
    Guess(
        category="user.social",
        terms="twitter*,linkedin*,facebook*,instagram*,xing*,mastodon*,tiktok*,telegram$,skype*",
        strong=False,
    ),
    Guess(
        category="user.contact.address.street",
        terms="*street$,street address,street name,street no,street number,*address$,address line,"
        "addr$,addr line,house number,house no,*strasse$,=str,strasse nr,strasse hausnummer,"
        "str nr,hausnummer,hausnr,haus nr,*anschrift$,*adresse$,adresszeile,adresszusatz,=rue,"
        "rue$,nom voie,numero voie,num voie,libelle voie,complement adresse,=calle,calle$,"
        "direccion$,domicilio$,indirizzo$,=via,numero civico,civico,straat$,straatnaam,huisnummer,"
        "huisnr,*adres$,=rua,rua$,logradouro,endereco$,morada$,ulica$,=ul,numer domu,nr domu,"
        "numer mieszkania,nr mieszkania,nr lokalu",
    ),
    Guess(
        category="user.contact.address.city",
        terms="city$,town$,city name,=ort,*wohnort$,lieferort$,rechnungsort$,ortsname,gemeinde$,"
        "*stadt$,ville$,commune$,ciudad$,localidad$,poblacion$,municipio$,citta$,comune$,"
        "localita$,*plaats$,=stad,cidade$,miasto$,miejscowosc$",
        strong=False,
    ),
    Guess(
        category="user.contact.address.state",
        terms="state$,province$,region$,county$,bundesland$,kanton$,departement$,provincia$,"
        "comunidad autonoma,regione$,provincie$,=estado,=uf,wojewodztwo$,powiat$",
        strong=False,
    ),
    Guess(
        category="user.contact.address.country",
        terms="country$,country code,country name,country iso,=land,herkunftsland$,wohnland$,"
        "*lieferland$,rechnungsland$,pays$,pais$,paese$,nazione$,kraj$",
        strong=False,
    ),
    Guess(
        category="user.demographic.gender",
        terms="=gender,=sex,gender$,=geschlecht,sexe$,sexo$,sesso$,geslacht$,genero$,=plec,"
        "gender code,gender identity",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.demographic.gender",
        terms="title of courtesy,courtesy title,salutation,anrede,civilite,tratamiento,aanhef,"
        "zwrot grzecznosciowy",
        strong=False,
    ),
    Guess(
        category="user.demographic.marital_status",
        terms="marital status,familienstand,etat civil,situation familiale,estado civil,"
        "stato civile,burgerlijke staat,stan cywilny",
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.demographic.religious_belief",
        terms="religion,confession,konfession,religione,religiao,wyznanie",
        strong=False,
    ),
    Guess(
        category="user.demographic.race_ethnicity",
        terms="ethnicity,ethnic group,ethnie,etnia,etniciteit",
        strong=False,
    ),
    Guess(
        category="user.health_and_medical",
        terms="diagnosis,diagnose,diagnostico,diagnosi,diagnoza,allergies,allergy,allergien,"
        "allergie,alergias,blood type,blood group,blutgruppe,groupe sanguin,grupo sanguineo,"
        "gruppo sanguigno,bloedgroep,grupa krwi,medication,medikation,krankenkasse,disability,"
        "behinderung,icd code,icd",
        strong=False,
    ),
    Guess(
        category="user.name",
        terms="full name,complete name,contact name,customer name,cust name,client name,"
        "person name,emp name,employee name,patient name,member name,guest name,recipient name,"
        "holder name,cardholder,cardholder name,account holder,name of holder,owner name,"
        "vollständiger name,ansprechpartner,kundenname,kunden name,mitarbeitername,patientenname,"
        "personenname,kontoinhaber,karteninhaber,empfängername,nom complet,nom client,"
        "nom du client,nom contact,nom salarie,titulaire carte,nombre completo,nombre cliente,"
        "nombre del cliente,nombre contacto,titular cuenta,titular tarjeta,nome completo,"
        "nome cliente,nome do cliente,nome contatto,intestatario,nominativo,volledige naam,"
        "klantnaam,naam klant,contactpersoon,nome contato,nazwa klienta,osoba kontaktowa",
    ),
    Guess(
        category="user.name",
        terms="ship name,shipping name,billing name,bill name,display name,recipient,addressee,"
        "empfänger,destinataire,destinatario,beneficiario,ontvanger,odbiorca,clerk,author name,"
        "comment author,=author,sachbearbeiter,vertreter",
        strong=False,
    ),
    Guess(category="user.name", terms="=name,=nom,=nombre,=nome,=naam,=nazwa", strong=False),
    Guess(
        category="user.job_title",
        terms="title$,=position,occupation,=beruf,berufsbezeichnung,profession,metier,=puesto,"
        "=cargo,profesion,professione,=beroep,=functie,profissao,zawod,stanowisko",
        strong=False,
    ),
    Guess(
        category="user.workplace",
        terms="company$,company name,employer$,employer name,organi*ation$,organi*ation name,"
        "=firma,firmenname,=unternehmen,arbeitgeber,=societe,raison sociale,=entreprise,employeur,"
        "=empresa,nombre empresa,=azienda,=societa,ragione sociale,=bedrijf,bedrijfsnaam,"
        "werkgever,nome empresa,pracodawca,nazwa firmy",
        strong=False,
    ),
    Guess(
        category="user.workplace",
        terms="hire date,hired,eintrittsdatum,einstellungsdatum,date embauche,fecha contratacion,"
        "data assunzione,datum in dienst,data contratacao,data zatrudnienia",
        strong=False,
        types=TEXT + DATE,
    ),
    Guess(
        category="user.demographic.age_range",
        terms="=age,age range,age group,altersgruppe,=edad,=eta,=leeftijd,=idade,=wiek",
        strong=False,
        types=TEXT + NUMBER,
    ),
    Guess(
        category="user.location.precise",
        terms="latitude,longitude,lat$,lng$,lon$,geo location,geolocation,gps*,breitengrad,"
        "längengrad,latitud,longitud,latitudine,longitudine",
        strong=False,
        types=TEXT + NUMBER + BINARY,
    ),
    Guess(
        category="user.content.self_image",
        terms="photo,avatar,portrait,profile picture,profile image,foto,lichtbild,passbild,"
        "profilbild,zdjecie",
        strong=False,
        types=TEXT + BINARY,
    ),
    Guess(
        category="user.content",
        terms="note$,notes$,comment$,comments$,comment text,remark$,remarks$,body$,message$,"
        "messages$,message text,feedback$,bio$,=about,review$,review text,subject$,*bemerkung$,"
        "*bemerkungen$,*notiz$,*notizen$,*kommentar$,*kommentare$,anmerkung$,anmerkungen$,"
        "*nachricht$,betreff$,lebenslauf,remarque$,remarques$,commentaire$,commentaires$,objet$,"
        "notas$,=nota,observacion$,observaciones$,comentario$,comentarios$,mensaje$,asunto$,"
        "osservazioni$,commento$,commenti$,messaggio$,oggetto$,opmerking$,opmerkingen$,notitie$,"
        "notities$,bericht$,onderwerp$,observacoes$,mensagem$,assunto$,uwagi$,notatka$,notatki$,"
        "komentarz$,wiadomosc$",
        strong=False,
        free_text=True,
    ),
)
