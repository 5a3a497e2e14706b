/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and tokens for test_token.c. Those with a name of their own were made once with PyJWT 2.6 and
 * python3-cryptography, so that somebody else's code says what is right; RFC7515, RFC7520 and RFC7638 are the examples
 * of these RFCs. JWKs stand without their braces, so that a test can add to them. Nothing here guards anything.
 */
/* clang-format off */
#ifndef UNIT_TOKEN_VECTORS_H
#define UNIT_TOKEN_VECTORS_H

#define SECRET \
	"The quick brown fox jumps over the lazy dog, and nobody is told."

#define CLAIMS \
	"{\"sub\":\"user-42\",\"exp\":4102444800,\"nbf\":1700000000,\"iss\":\"https://app.example.com\",\"aud" \
	"\":\"belfry\",\"belfry\":{\"subscribe\":[{\"tags\":{\"user\":\"42\"}}],\"outcomes\":true}}"

#define TOKEN_HS256 \
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.IB-cFS0Cqjtuk4JGNYaVQU-hzL1ZOWZ7wGeYLF7uMz0"

#define TOKEN_HS384 \
	"eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.uOt94Jdmklz8OANQM6KoxiBqm24GawUXLSme-FduQRMQhg" \
	"_FbNlsEwaxglm60w0u"

#define TOKEN_HS512 \
	"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.wL3Qq8Cj4dVYTiWu2yd0M-dny7uJNjaFsFX5D4K6SCH-jT" \
	"sZpkcpN1-ymak6AJsPrQoH_2ohOPbOXYeKOu3Z3w"

#define RSA_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAukZXI94BPEK2wSuCEzVT\n" \
	"EJ5VAQvKE7SAWoHbRtVtqf52wXcqSB+1h/K7Tx6qUbVKrQpOT+n87ed7W/EVRbbY\n" \
	"mbBm9mwAyw4WsX4qHjs+QCjNxuHgkw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq\n" \
	"+xV5z73xNktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBPzbNI6nBzcJToybSPvVZG\n" \
	"2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun+vYF3PjULfILbCrAx5CLX\n" \
	"5a3SAZfOvFUprnBV4T9t0bBQ4xq93NsImUWMWq2BgeCzeWbctf21ERII4O/tF8vG\n" \
	"qwIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"

#define RSA_PUBLIC_LINES \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAukZXI94BPEK2wSuCEzVT\n" \
	"EJ5VAQvKE7SAWoHbRtVtqf52wXcqSB+1h/K7Tx6qUbVKrQpOT+n87ed7W/EVRbbY\n" \
	"mbBm9mwAyw4WsX4qHjs+QCjNxuHgkw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq\n" \
	"+xV5z73xNktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBPzbNI6nBzcJToybSPvVZG\n" \
	"2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun+vYF3PjULfILbCrAx5CLX\n" \
	"5a3SAZfOvFUprnBV4T9t0bBQ4xq93NsImUWMWq2BgeCzeWbctf21ERII4O/tF8vG\n" \
	"qwIDAQAB\n"

#define RSA_PUBLIC_BARE \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcqSB+1h/K7" \
	"Tx6qUbVKrQpOT+n87ed7W/EVRbbYmbBm9mwAyw4WsX4qHjs+QCjNxuHgkw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq+xV5z73x" \
	"NktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBPzbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun+" \
	"vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV4T9t0bBQ4xq93NsImUWMWq2BgeCzeWbctf21ERII4O/tF8vGqwIDAQAB"

/* bytes that the padding of RSA_PUBLIC_BARE stands for */
#define RSA_PUBLIC_BARE_PADDING 0

#define RSA_PUBLIC_PKCS1 \
	"-----BEGIN RSA PUBLIC KEY-----\n" \
	"MIIBCgKCAQEAukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcqSB+1\n" \
	"h/K7Tx6qUbVKrQpOT+n87ed7W/EVRbbYmbBm9mwAyw4WsX4qHjs+QCjNxuHgkw4l\n" \
	"eCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq+xV5z73xNktvCRrlmkvcQrmugCfxz2bP\n" \
	"sSdPzElOEHBPzbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uv\n" \
	"iym7CscRBun+vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV4T9t0bBQ4xq93NsI\n" \
	"mUWMWq2BgeCzeWbctf21ERII4O/tF8vGqwIDAQAB\n" \
	"-----END RSA PUBLIC KEY-----\n"

#define RSA_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC6Rlcj3gE8QrbB\n" \
	"K4ITNVMQnlUBC8oTtIBagdtG1W2p/nbBdypIH7WH8rtPHqpRtUqtCk5P6fzt53tb\n" \
	"8RVFttiZsGb2bADLDhaxfioeOz5AKM3G4eCTDiV4J/CqDYWnUaPTQ5hUAg5oTUMS\n" \
	"MNESAWr7FXnPvfE2S28JGuWaS9xCua6AJ/HPZs+xJ0/MSU4QcE/Ns0jqcHNwlOjJ\n" \
	"tI+9VkbZFcqfgqfdB0YwV2SQaFglxoJ6eZ1LS6+LKbsKxxEG6f69gXc+NQt8gtsK\n" \
	"sDHkItflrdIBl868VSmucFXhP23RsFDjGr3c2wiZRYxarYGB4LN5Zty1/bUREgjg\n" \
	"7+0Xy8arAgMBAAECggEAASvEYXKdaZvHyxJAVqCS0LDjwnTOYQsEwFMtKa+EGRp5\n" \
	"F1ilCKx8ZRVEx6he92jhG4MhchLOlMLdtBFCH3clg5W9OG3RBv1HO4Q/5G7WZaz4\n" \
	"2kNEauecWeeBgirS7VfPPHEpnPCPs+srZj0IIEmdZ/D6AwjqMBxOV/i4jID+yzcB\n" \
	"9irBB+ruvLiCKDWMbYf2BkMFNNwb6AQI2YETaOBBD0/5p/C2ovr1q4AsdGaVTuR+\n" \
	"f4gbniL1BkvRPt6ikQTOQwX1uFhCZCRmgw8IyDgo5GkOfAD7NBXt4wYd0cpdojCg\n" \
	"59zLQHpFIr28TjIN9jexUrgwPJU2bKp5acqJRbvNUQKBgQD+oFvsLY443SBSpRR2\n" \
	"ivEOLwU7FuDjjwrTpXU2VjY/NlCa6Iz6A4iYdhBmzgyDiwIezoQJW2Y2bOXyFSv1\n" \
	"otPCQuEcxKanFVOy33rFrgIrNqR2Dpd5lGPeAUqjvWw6K5TQ8DQh+iQCy8/+S3SD\n" \
	"0n1psM5kQbJeW9fYEcAE8DfgcwKBgQC7R5ZTVtbOMFoZcxOx+CbFeL9R/29C2Udc\n" \
	"YEzqN2O9fBaewInO42IhGu72651nRgDfQEogwVMtEOyG68+a9EkslmoioOxyaLDE\n" \
	"U8Vwq+xMg4W9Jyb8XZFNU3ImoQLYmur/E8DEZkiO6lemiyej+aIT+nbIzeWup7R4\n" \
	"QzLs8iQK6QKBgCncBwCexKDIiYXMqb6LPPHN/RgnvLTsUSVWMBzMs4JU1Y+B55s6\n" \
	"dXxK/ItKGHiPo7uYy9AV/Im6AVt4648oQ5POFt/53EPfl7DyWGajIqwkAYl/AJv2\n" \
	"LyzSHYkpnN87Ru3Kb2eejcj/5KOzl+YL9p4neOa2fjJQ+v0EfgLR0v3NAoGAa5s+\n" \
	"bLRAyEhP/L96WY/T9zLh+yNhsm9V6WYLy6f3zzA1bxICHLXZ9FudYpMO5f/7EEvI\n" \
	"S/nI6OQIg52Ks+YZBV2Hrk34jeRJbQUVNSATrgMEHSMZ63d3vY5s0HVDRWH+FIIt\n" \
	"CKwclMFhi3f5VuZgkkofZlGn3yrNLyytXifjPcECgYBZNKV5JfAivjl3mZ1GaYP0\n" \
	"75o6takXzSTwBK6eBJBkcYaqRNoYBfpZh+NelLEF4/H3LRgCrD0v+Kwo8ZQA5BFo\n" \
	"gOOVrTiwoPHNu2X5nkvoEknYlnuCWeslkp9FAN6UVAA05TeVD0Q7KFh5yd8Ie2pK\n" \
	"XtPo3LHugaW7aHKrtlkOWg==\n" \
	"-----END PRIVATE KEY-----\n"

#define RSA_PRIVATE_PKCS1 \
	"-----BEGIN RSA PRIVATE KEY-----\n" \
	"MIIEogIBAAKCAQEAukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcq\n" \
	"SB+1h/K7Tx6qUbVKrQpOT+n87ed7W/EVRbbYmbBm9mwAyw4WsX4qHjs+QCjNxuHg\n" \
	"kw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq+xV5z73xNktvCRrlmkvcQrmugCfx\n" \
	"z2bPsSdPzElOEHBPzbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmd\n" \
	"S0uviym7CscRBun+vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV4T9t0bBQ4xq9\n" \
	"3NsImUWMWq2BgeCzeWbctf21ERII4O/tF8vGqwIDAQABAoIBAAErxGFynWmbx8sS\n" \
	"QFagktCw48J0zmELBMBTLSmvhBkaeRdYpQisfGUVRMeoXvdo4RuDIXISzpTC3bQR\n" \
	"Qh93JYOVvTht0Qb9RzuEP+Ru1mWs+NpDRGrnnFnngYIq0u1XzzxxKZzwj7PrK2Y9\n" \
	"CCBJnWfw+gMI6jAcTlf4uIyA/ss3AfYqwQfq7ry4gig1jG2H9gZDBTTcG+gECNmB\n" \
	"E2jgQQ9P+afwtqL69auALHRmlU7kfn+IG54i9QZL0T7eopEEzkMF9bhYQmQkZoMP\n" \
	"CMg4KORpDnwA+zQV7eMGHdHKXaIwoOfcy0B6RSK9vE4yDfY3sVK4MDyVNmyqeWnK\n" \
	"iUW7zVECgYEA/qBb7C2OON0gUqUUdorxDi8FOxbg448K06V1NlY2PzZQmuiM+gOI\n" \
	"mHYQZs4Mg4sCHs6ECVtmNmzl8hUr9aLTwkLhHMSmpxVTst96xa4CKzakdg6XeZRj\n" \
	"3gFKo71sOiuU0PA0IfokAsvP/kt0g9J9abDOZEGyXlvX2BHABPA34HMCgYEAu0eW\n" \
	"U1bWzjBaGXMTsfgmxXi/Uf9vQtlHXGBM6jdjvXwWnsCJzuNiIRru9uudZ0YA30BK\n" \
	"IMFTLRDshuvPmvRJLJZqIqDscmiwxFPFcKvsTIOFvScm/F2RTVNyJqEC2Jrq/xPA\n" \
	"xGZIjupXposno/miE/p2yM3lrqe0eEMy7PIkCukCgYAp3AcAnsSgyImFzKm+izzx\n" \
	"zf0YJ7y07FElVjAczLOCVNWPgeebOnV8SvyLShh4j6O7mMvQFfyJugFbeOuPKEOT\n" \
	"zhbf+dxD35ew8lhmoyKsJAGJfwCb9i8s0h2JKZzfO0btym9nno3I/+Sjs5fmC/ae\n" \
	"J3jmtn4yUPr9BH4C0dL9zQKBgGubPmy0QMhIT/y/elmP0/cy4fsjYbJvVelmC8un\n" \
	"988wNW8SAhy12fRbnWKTDuX/+xBLyEv5yOjkCIOdirPmGQVdh65N+I3kSW0FFTUg\n" \
	"E64DBB0jGet3d72ObNB1Q0Vh/hSCLQisHJTBYYt3+VbmYJJKH2ZRp98qzS8srV4n\n" \
	"4z3BAoGAWTSleSXwIr45d5mdRmmD9O+aOrWpF80k8ASungSQZHGGqkTaGAX6WYfj\n" \
	"XpSxBePx9y0YAqw9L/isKPGUAOQRaIDjla04sKDxzbtl+Z5L6BJJ2JZ7glnrJZKf\n" \
	"RQDelFQANOU3lQ9EOyhYecnfCHtqSl7T6Nyx7oGlu2hyq7ZZDlo=\n" \
	"-----END RSA PRIVATE KEY-----\n"

#define RSA_PRIVATE_ENCRYPTED \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" \
	"MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQIKIgdIS+aX58CAggA\n" \
	"MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBAOFR+2cLHT8N6OUK6jCkxpBIIE\n" \
	"0HFzIKqWnf+RYcIuAyID9Ug81Mim+39NoWdo+tgWgD+Vincev7NFqSHHLwJUj+5f\n" \
	"TkGy0iL+nQMZGHyzBGBnCUXO7dxV04xZaXsalNAE0rpsNut78Fi8fJTOe/ErX9P3\n" \
	"82K04oEcal5QPudNEE/6XwhjRlIKPvK2pGf0rrwQRUfU1BFgDgz/GvP+0NtzWXdE\n" \
	"2CUWoOTk4nAK6zSO0ObW5/2j9uhikTk+TCkPzpwUMrvRKC8ClzGU8B19hd6kSUH5\n" \
	"ZaKFP/djpsNeFmE9ppmm6s1pIecJqEubTgrSq/5YjqyD/2WO2aQKbVkOXupR4ykt\n" \
	"K7L/GzqbYQpqABJEplGzlZA4F+U1n7CYP+W6+fnUMdAB6VGS8qkEoG2bBUgAdM19\n" \
	"4XUiIf3TroFIEyH1HEXgWhZQY/3BTcrw9IaAFc/YCSucQKCaPu2TpP2qJiVEi9ZP\n" \
	"0+rWKLo+a/zeQ0Z8+OSPBoY+t3wxqzDPCu81F1k+LO670uf4Vd6c8eOwT/1ev/SL\n" \
	"nDSB9ToHjFmPynjwgPg16R4LGajrOwjqn/N4hjmaym7ggUmi7yoyKPfbGBdsZwGU\n" \
	"2vNAd6tvfB/O7g+kLNuKNX5bE9RfIiCTO6ZFIVnqkBeNBX348AX92j4fUaIFeD87\n" \
	"lp66F8wmSQ4rVx3u6maFwTlB9KpQEL+oivv2DdJNz8obcU0YbqV5RWOUl/HLW/Ax\n" \
	"ThDddyiOf5C2UeXnhKiljmadt2kaWiaPv+RsMzJhuAoHSrPRl+AievRY1ItXMxvy\n" \
	"uBrfYGW+0hhgKmdfO15PyhKRqylmHugInPqpGRFbV1DMqdbBGKoeG79p4R+omW5S\n" \
	"7QJeydMyc7u3qew5UIrFXtHYv4fEKvgSjqQoZaFSbfDckARDPUg60cCn4oYRdUFb\n" \
	"pO+YoEO5duhbTXXf3WRWBUZPPSBoTo+gMIyifWe4HiT6VntYMPBEyHE3MRcXpQ6U\n" \
	"NmltksmWjggI0iG/Yxfqg0Fav3OXpe3ByXaEyjHI6cJGhsqUqOqtbomFpMoODqPX\n" \
	"eqgjDUZwXncR4GkDnDfms+6sET3NViE4mIatZmRKYkVkg+A0Qpn93B6O555HSAKb\n" \
	"2n3a96KDK8MsCehHPzO2a44Ta9JU/tzDHa2FD8LuV8F/LRurt5r3fE6jKaZM5hI3\n" \
	"JMxsUKSO/I9cc3eDLM2tbdiJ3ucU8EDOmOQfU8VzzTwy0OAlr683EBAOZn/gyIJ6\n" \
	"1UV0WnNkiZK8laO/+VaHkUxw9DIwygU1utEYddO02o6CJlcdZKtiAW6RCvreV08X\n" \
	"V//vwIkOeOnExqhvKZMkuOiLBsw6vAbY5GceIefKD04u7o4qL7Yc/a31+AtItQg7\n" \
	"cBL0+eS5VK9nvJPaEVA/N/0QVWBenKDqgGs5WoNbORsbGASQvbIlLn0t6vytbZ8t\n" \
	"ylTOIi9WnMQSQ4RioDLtXV5dx2/auUdE+L5Yf1fnNtCC+js5qZCbPUaB0lD04Ryg\n" \
	"YZlGPIIXY05idR48l36ha42fEgISIoPr+5Unfavjlj+IfM2FWS+Eu848+5c7X4Cw\n" \
	"lYfKpzsdWTeYRwI/Jrm1L3qfQLCnSM9I9b/d+EjrsPu2JuOHHkSnsZNEvEK5ux/q\n" \
	"BETk+ZDJ8exNpS4zQtpFipBBqh6Sj2GJh1amHfZKBRSr\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

#define RSA_PRIVATE_ENCRYPTED_PKCS1 \
	"-----BEGIN RSA PRIVATE KEY-----\n" \
	"Proc-Type: 4,ENCRYPTED\n" \
	"DEK-Info: AES-256-CBC,7174E045B049844F8068F451B72DD1B4\n" \
	"\n" \
	"FVRJvL8nbpdn+fArEv3hSSGtuAg7+kFZKIzEfETrphnT+K3ZRdXkXN605meWVppd\n" \
	"Kb7R5S8t/hHDIqIk76uVwhRVUllaGvggTsZbmFHIomOsF+RZ9zrzS+YEKjHtq91w\n" \
	"P1nx8393ZK2g0DhGN3LFmw2oevn95loXT30K/5ByyzJQ3Y6r/sR6kuazLQFLqPA6\n" \
	"PnMtolA/vbJikJySxRkhahdjVdX5arnaNavAFHzcqBy6S5UYPB4h6FgRS9Z0uTVs\n" \
	"1Dmy6fU01X7urpa02q2oAyPHM1j0XSdQbcYy1YPLl2Gj2wWtIU+C8O+sQZpsGKvZ\n" \
	"WejBOeF5oplY3vBTr3YaD3BT7y/4qQxQjMorQCwv6hRQyLMXwWbRKrhsqsNv3uzs\n" \
	"GnK+dzD9GUOz6ruCOIn1e6ukxkPWhK4QCWTgzcer1eiy9xm/g7j2VZC3msQjnOEc\n" \
	"kqhRJiuTwfkFFz3SxyDm9XAZCUNPyES7XZFwGBpvBUmnpbP6WpWgy3Mjx/0O12+G\n" \
	"gbf3Wk8e3pxtDMbqOshaLYdc/GjWSzG3j0NKBOKg9jaMMEmbgfJPI6gBJwLfYuD/\n" \
	"/icGEay5CNYPTpvg448W7QNj5B5ImoOMoaanjciY0RDmRMTBLwfvQB6mIols+T9N\n" \
	"C5JTvlShqKQ32IRq+vQYQHMMrQs4Dj6g+hVQwT1tNNVVarlklGu98r9dXIAUwZOo\n" \
	"Fe6UVWx+C+gvBQxDNerEXcObdIzz57Hu0VsJV4yaKSAiIhMX8EV3hlKKuDFH7Max\n" \
	"h6hRKjk3FjpnxJOV5KQG0QzHZ+MReWedNQHMIZtw1Jruss48S2jOyQWviZifNhs/\n" \
	"S4V0K2JTvz7JRwdoP3U6cGJNrW91C6dOTwpAvd0Ga41sjGot8Rsw4vNKxChd1whK\n" \
	"AvKKXtv1L/aL7ZWkbDm2YszMykGaA87vCaPZi9RXBm/EeTxz2VVeaZGSTprN8tJc\n" \
	"qgmce6HDE1TWokqK6Kx5n2lx/jxWY81xIyfEr1PIav5C0+MrgPRlZTSsH68h+ouZ\n" \
	"5NHG4dPaQMgJ0u6rtTo6V8qIe9erBxwuDy6xyL6dl1RWeTHSli+1bYbMBBTjyFrl\n" \
	"nOi+W/kuLrflRFI/0xUVvs706yosW/SPshbeAWdDrvp1xLcHgCeqNRunUBthq92y\n" \
	"0AQKlX53pF/6VxLhTD7Wp/yqaQWDku5+KJWwrR8aPhm3HNjzYkhQweG4kistHEfA\n" \
	"gTV1METNeLIwjlzb4x9RgnhAtu1LnW8H0tyUwhhc9oFxEP9yFN1XH37l5fQSbn7I\n" \
	"m0+dlg/GwF09JbUrAFvFm29mPWNczOocpRu7Iy4dCn3lcHB1ESDatMECtfvPNrwE\n" \
	"ZHnYL8l1F0ydTZiqhnzXb4XMBz4biqu82uPbHDjLa/v/0rmZjyWAfL6f5Ddxw+Wp\n" \
	"D50RlgFq2PW8poOgAfZefQAR9greWpdGe/4Z71WVy3NQSDamQyipngkM/zvvf/0R\n" \
	"vfPbehsrJEHghcAx6SXTZhC8qmKDR2/UJ+5XG5TSo8Aj3onsTrqfvgvdVbwaiLXU\n" \
	"E0BLZmhe3jLpUfVpF+++WRIzmNum2a353VRWGDbSvTBsbCEPnQtkh+Rq7MFA+hTK\n" \
	"-----END RSA PRIVATE KEY-----\n"

#define RSA_JWK \
	"\"kty\":\"RSA\"," \
	"\"n\":\"ukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcqSB-1h_K7Tx6qUbVKrQpOT-n87ed7W_EVRbbYmbBm9mwA" \
	"yw4WsX4qHjs-QCjNxuHgkw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq-xV5z73xNktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBP" \
	"zbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun-vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV" \
	"4T9t0bBQ4xq93NsImUWMWq2BgeCzeWbctf21ERII4O_tF8vGqw\"," \
	"\"e\":\"AQAB\""

#define RSA_JWK_PRIVATE \
	"\"kty\":\"RSA\"," \
	"\"n\":\"ukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcqSB-1h_K7Tx6qUbVKrQpOT-n87ed7W_EVRbbYmbBm9mwA" \
	"yw4WsX4qHjs-QCjNxuHgkw4leCfwqg2Fp1Gj00OYVAIOaE1DEjDREgFq-xV5z73xNktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBP" \
	"zbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun-vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV" \
	"4T9t0bBQ4xq93NsImUWMWq2BgeCzeWbctf21ERII4O_tF8vGqw\"," \
	"\"e\":\"AQAB\"," \
	"\"d\":\"ASvEYXKdaZvHyxJAVqCS0LDjwnTOYQsEwFMtKa-EGRp5F1ilCKx8ZRVEx6he92jhG4MhchLOlMLdtBFCH3clg5W9OG3R" \
	"Bv1HO4Q_5G7WZaz42kNEauecWeeBgirS7VfPPHEpnPCPs-srZj0IIEmdZ_D6AwjqMBxOV_i4jID-yzcB9irBB-ruvLiCKDWMbYf2" \
	"BkMFNNwb6AQI2YETaOBBD0_5p_C2ovr1q4AsdGaVTuR-f4gbniL1BkvRPt6ikQTOQwX1uFhCZCRmgw8IyDgo5GkOfAD7NBXt4wYd" \
	"0cpdojCg59zLQHpFIr28TjIN9jexUrgwPJU2bKp5acqJRbvNUQ\"," \
	"\"p\":\"_qBb7C2OON0gUqUUdorxDi8FOxbg448K06V1NlY2PzZQmuiM-gOImHYQZs4Mg4sCHs6ECVtmNmzl8hUr9aLTwkLhHMSm" \
	"pxVTst96xa4CKzakdg6XeZRj3gFKo71sOiuU0PA0IfokAsvP_kt0g9J9abDOZEGyXlvX2BHABPA34HM\"," \
	"\"q\":\"u0eWU1bWzjBaGXMTsfgmxXi_Uf9vQtlHXGBM6jdjvXwWnsCJzuNiIRru9uudZ0YA30BKIMFTLRDshuvPmvRJLJZqIqDs" \
	"cmiwxFPFcKvsTIOFvScm_F2RTVNyJqEC2Jrq_xPAxGZIjupXposno_miE_p2yM3lrqe0eEMy7PIkCuk\"," \
	"\"dp\":\"KdwHAJ7EoMiJhcypvos88c39GCe8tOxRJVYwHMyzglTVj4Hnmzp1fEr8i0oYeI-ju5jL0BX8iboBW3jrjyhDk84W3_n" \
	"cQ9-XsPJYZqMirCQBiX8Am_YvLNIdiSmc3ztG7cpvZ56NyP_ko7OX5gv2nid45rZ-MlD6_QR-AtHS_c0\"," \
	"\"dq\":\"a5s-bLRAyEhP_L96WY_T9zLh-yNhsm9V6WYLy6f3zzA1bxICHLXZ9FudYpMO5f_7EEvIS_nI6OQIg52Ks-YZBV2Hrk3" \
	"4jeRJbQUVNSATrgMEHSMZ63d3vY5s0HVDRWH-FIItCKwclMFhi3f5VuZgkkofZlGn3yrNLyytXifjPcE\"," \
	"\"qi\":\"WTSleSXwIr45d5mdRmmD9O-aOrWpF80k8ASungSQZHGGqkTaGAX6WYfjXpSxBePx9y0YAqw9L_isKPGUAOQRaIDjla0" \
	"4sKDxzbtl-Z5L6BJJ2JZ7glnrJZKfRQDelFQANOU3lQ9EOyhYecnfCHtqSl7T6Nyx7oGlu2hyq7ZZDlo\""

#define RSA_THUMBPRINT \
	"073GPOzXHNomo58ToBvVLnYIuaJlyBjOb6GsRk3cmxU"

#define RSA_CERTIFICATE \
	"-----BEGIN CERTIFICATE-----\n" \
	"MIICpTCCAY2gAwIBAgIBBzANBgkqhkiG9w0BAQsFADAWMRQwEgYDVQQDDAtiZWxm\n" \
	"cnkgdGVzdDAeFw0yNTAxMDEwMDAwMDBaFw00NTAxMDEwMDAwMDBaMBYxFDASBgNV\n" \
	"BAMMC2JlbGZyeSB0ZXN0MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n" \
	"ukZXI94BPEK2wSuCEzVTEJ5VAQvKE7SAWoHbRtVtqf52wXcqSB+1h/K7Tx6qUbVK\n" \
	"rQpOT+n87ed7W/EVRbbYmbBm9mwAyw4WsX4qHjs+QCjNxuHgkw4leCfwqg2Fp1Gj\n" \
	"00OYVAIOaE1DEjDREgFq+xV5z73xNktvCRrlmkvcQrmugCfxz2bPsSdPzElOEHBP\n" \
	"zbNI6nBzcJToybSPvVZG2RXKn4Kn3QdGMFdkkGhYJcaCenmdS0uviym7CscRBun+\n" \
	"vYF3PjULfILbCrAx5CLX5a3SAZfOvFUprnBV4T9t0bBQ4xq93NsImUWMWq2BgeCz\n" \
	"eWbctf21ERII4O/tF8vGqwIDAQABMA0GCSqGSIb3DQEBCwUAA4IBAQBjgqTynNFC\n" \
	"t2hcfMB3w7iTKVBUk37DGlbLK++9KHgisrodVj/IQV2apSCNFCZKL9wGV3JhOjFW\n" \
	"hguBemQrpvL5scOOeyU3uzX0wCpNsrMeRYgo67WHAiW7F2ryjUYVdR30smKuGbOb\n" \
	"qW/D6Vn2uK59lsClbnad0nw62xl0U1aJAUVRaEf6QySJfzdrUofxt5JaFBaHr9sD\n" \
	"7zl8JniQqrNv2rdXcXBig2IBOMSN1QgRmneGkqItBcdePOH2uh4O2m3zWaEjrikm\n" \
	"JTrE1W9x19cuo+Bex33Qi6VB6zrqB1E0LxztLJ+D3RlYw9rD/G5ocjUoRVoK49/V\n" \
	"FTaGLHrGeT0j\n" \
	"-----END CERTIFICATE-----\n"

#define RSA_OPENSSH \
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC6Rlcj3gE8QrbBK4ITNVMQnlUBC8oTtIBagdtG1W2p/nbBdypIH7WH8rtPHqpR" \
	"tUqtCk5P6fzt53tb8RVFttiZsGb2bADLDhaxfioeOz5AKM3G4eCTDiV4J/CqDYWnUaPTQ5hUAg5oTUMSMNESAWr7FXnPvfE2S28J" \
	"GuWaS9xCua6AJ/HPZs+xJ0/MSU4QcE/Ns0jqcHNwlOjJtI+9VkbZFcqfgqfdB0YwV2SQaFglxoJ6eZ1LS6+LKbsKxxEG6f69gXc+" \
	"NQt8gtsKsDHkItflrdIBl868VSmucFXhP23RsFDjGr3c2wiZRYxarYGB4LN5Zty1/bUREgjg7+0Xy8ar"

#define TOKEN_RS256 \
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.NrFaq1k4iFkOu6hSWVuxehpCOsUlvLskeURjIAFAFeMI49" \
	"IkLXD7sy93vZej43Gm6Vtq-yHC_Ev_AuLSP5eqV3xFb4-0v0Jefv2XEu_rofvbQKFcNQ_gwMMWrUDxHSO3gX1kZ-HkMO1JquVXwL" \
	"ctYkPuULHzdrx4_2zzFrVNfVJ_k2Bx8MT_u9vMpRGv2moucSWG54YOdIfXXmykFvfZYaj1duVHVDMhzcGzUImqIQvy5dJhlZK1Xx" \
	"Flrtc5ZHUhrGbqu5QbdWb6zngNDnRyMPu6QgwMEFLrgzDxQwuTEhNXHw_RXyPYqVgAs7M6PBqF9zkAsMWeuIUbQ2eXfVDQyQ"

#define TOKEN_RS384 \
	"eyJhbGciOiJSUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.m7UWUoCquqZ_tuShJrFlRFFMUg_TWWLpOgPBdLTcIZjFnO" \
	"aTSvpOVdyot9CmCRjJbQyxyVViWrJVMg7QSZCrqf4nUKDWkqlYkF1UC3Yo5lE-kc5EVXpcBqJuRDC1jiU4naXdLnmBuyoOl4EXtE" \
	"rmxN1_zM0Mt-1B_yubEvdnsA_auKeuBTYHoIPiRNQ-IJ7Jocj5ORbzBGE1EsQ9_8iJ9Hc3was0h9Vi2Om_XZ3dK21Syrs63cqA8r" \
	"RylhtZvoQWLIvp_JC3AiPqvehVfwYazG8iLMBqe-0N26rRbavO2sWWmJtkn8aeV9-omZNNv0ZLBVhty4qQn_fU2N_5pR_XUg"

#define TOKEN_RS512 \
	"eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.C6Bhp3VReojK6HgP14xvOET6g-HtTeFkoVW8EvceCIll-z" \
	"I9X25NRNQKI98xUDp0w-tdzjuAI5zLcldlosFcXtNd4jjt-Pw05iOh1njgkyQLnwHuc42mSS6YLdhJwxMc3_dmYm5X-6-ekBUAev" \
	"u1fZN3AF7r4zSrWfxJB2hh7tB1dElIJB9rgijMflUq62Y7vrm0XtarTxgbemx0l7UFzvApHvsOFAFe4sgsRZbYtu6o73RzUSRXqj" \
	"DFBIpvdQbeyaRAoF6YHnzR8Amw-pXAHOnn0j1Aj-gMPjyJJYSsGmlZO9o68YQyxUaislCGgJHWNUSBJJp2TbEVUs4IokwPXg"

#define TOKEN_PS256 \
	"eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.eViBBa8-2gmoi8mGpekK4P0-fBGBHMvzvaUQC3sdv0ywkh" \
	"X4WsYCfJCoQt75qB1B_kdRDR0HEHjhHrc_6ta6zWNAtLcWvTzdb9n0D6W-wnkV6pET8NlSnYM_e3CXxn7Ss87oWk3GQg8Tziy3sN" \
	"qlcVyWEV7Ji6BYxbkzHr-DVT8CV0mzd7-van-M-b2dTlKvfr8FleoX9hxvrUMcr5R1ttJLNFiP4XZTuSywPIA_E8cxG8aLNEZhiM" \
	"KYj30cIBgKCRhxXD9AS0tWUHb59tlgzDhMXappelaSfagTQS8ta1ySvS7GrgEJERLbsl7Xlihq_Tl0yX7NizLz38B0FYGL5A"

#define TOKEN_PS384 \
	"eyJhbGciOiJQUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.iSie186dGYhskKHtgm_RzWcejvm_zd46nfHCM36YbU7ROe" \
	"6ckg5_IM5fPQHBi35EzyRmjQ6z350f1-l98NEW5BlxVMeOO5lMhK3VH449aP_CHk58Epa1P386r6dqY0Tev1C7OEqX5lU_3VXGjG" \
	"aJfsLJ6OR5nygdyam08yTNCRa0qtNFuDyl2U_092aGW1ZNFknCILRl_vHpEIZOKujtx9WOQnMMwqUUoRJVTkmbzpaxSBk1GKm5lD" \
	"G6rFqhixMpj--UXR1rq5gNu-TnrYEdsoDqdWRqkUr1i1yp1u_4yoGUatlzdHg3GoBbX3OnkpCD3rOOjia8HLlOenes3na8cw"

#define TOKEN_PS512 \
	"eyJhbGciOiJQUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.RCt3krG0wi5_3cqyr0YBW9Uq1SF9lQ6JOL2NWjK3GnD26y" \
	"qS-IKF_10UhC3zpEqJgDclUFG2B0UhagEG5x9iaca2brfKOhWocvGVtd1JU-nxpy2QHbL1K96KY924Ieqh0I7MRrH1JYr0k1Mgxh" \
	"cFr_H45ES88O42pIVq67G0WiLGNsdTlDti-XdeboRkVhIQErRAF_aZ75q6XUaaDI5WGIhfig11CY-0PVSrErTLl7v9mRfg3F_4bX" \
	"yBY6wVJXlm_MnmiL5eLNeSmf4I2Kqgx8ZhJmZdq8sc6TX5xaQ4FMhU3-fNa746xAuL6jiXBFnBNHsX1GN5FX8bDuyNgWpsLA"

#define RSA_1024_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDJS16fgROgY7HBCYcdtkvig5m7\n" \
	"000SRcl4jD++ikSFDBlfifgu88mV3OgQlEd90FqpsoXTFCbZnxYx6w24CVKQQGQH\n" \
	"P4saMC0kaGljBI0NqiGBjb8IgWHJ0Wp16VIXVzzpJWD6v76s5raWRRCZVQniLBdd\n" \
	"8/NSNWSrXl9u+kVK/QIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"

#define RSA_1024_JWK \
	"\"kty\":\"RSA\"," \
	"\"n\":\"yUten4EToGOxwQmHHbZL4oOZu9NNEkXJeIw_vopEhQwZX4n4LvPJldzoEJRHfdBaqbKF0xQm2Z8WMesNuAlSkEBkBz-L" \
	"GjAtJGhpYwSNDaohgY2_CIFhydFqdelSF1c86SVg-r--rOa2lkUQmVUJ4iwXXfPzUjVkq15fbvpFSv0\"," \
	"\"e\":\"AQAB\""

#define TOKEN_RS256_1024 \
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.ZrO1ySqDOtBoTjGhdC8LLGA8oO7Dqcu_GV99oAAwEymT3j" \
	"4RSVu7deV4KX60vL30AWI_vK5kaKBRDUzmkPGod3GOfczQKCtXnJKS6sv7y6S67gAddmVHbcyK5R9qD3yomdqdy9nMyCWSnslgev" \
	"ylE0iI0UEhJkUwKxiZIRfv3Yk"

#define EC_256_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAxpXSZyoyZSyeZhhSC/oRbi4nmAR\n" \
	"mUv09OHsNtWAK2XKeS49PAX/X3HME9r7vGi5P8TEB5BecuaSfrnClbhYbw==\n" \
	"-----END PUBLIC KEY-----\n"

#define EC_256_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMRIsbph1Hv5cejn9\n" \
	"xUGomdDK+/54MUmrZlcZvl2krn2hRANCAAQDGldJnKjJlLJ5mGFIL+hFuLieYBGZ\n" \
	"S/T04ew21YArZcp5Lj08Bf9fccwT2vu8aLk/xMQHkF5y5pJ+ucKVuFhv\n" \
	"-----END PRIVATE KEY-----\n"

#define EC_256_JWK \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-256\"," \
	"\"x\":\"AxpXSZyoyZSyeZhhSC_oRbi4nmARmUv09OHsNtWAK2U\"," \
	"\"y\":\"ynkuPTwF_19xzBPa-7xouT_ExAeQXnLmkn65wpW4WG8\""

#define EC_256_JWK_PRIVATE \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-256\"," \
	"\"x\":\"AxpXSZyoyZSyeZhhSC_oRbi4nmARmUv09OHsNtWAK2U\"," \
	"\"y\":\"ynkuPTwF_19xzBPa-7xouT_ExAeQXnLmkn65wpW4WG8\"," \
	"\"d\":\"MRIsbph1Hv5cejn9xUGomdDK-_54MUmrZlcZvl2krn0\""

#define EC_256_THUMBPRINT \
	"6GBQGtHO6-pA2O9q4NQiNzcPvlmkwfp7Npiz233l3is"

#define TOKEN_ES256 \
	"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.LM6T4L1o9GpV_K2-Mgjv3cTUFXE1oFBUmU58nO2d3httSB" \
	"qcldC_lhy-NKFiqT9CcLxQXy7ry6G6ZnXI5OL_Kw"

#define EC_384_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAExULHS4pzhy5yvNiExM/uueB/gMBLNsxs\n" \
	"o1FWfurFqR8i2SK2IImrZfasku19TQiRKPGaHJIUrSizWT6bNsLTtyHdWNLz8S6t\n" \
	"CPb/5Cq/4WTPP6RqO7y/4UN/OKEm2y5w\n" \
	"-----END PUBLIC KEY-----\n"

#define EC_384_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCNAjpl8YBv67rGEtbY\n" \
	"aZurBIKhxaQVxww0KBUdeHliqLst31+b3AkC25keD391xNyhZANiAATFQsdLinOH\n" \
	"LnK82ITEz+654H+AwEs2zGyjUVZ+6sWpHyLZIrYgiatl9qyS7X1NCJEo8ZockhSt\n" \
	"KLNZPps2wtO3Id1Y0vPxLq0I9v/kKr/hZM8/pGo7vL/hQ384oSbbLnA=\n" \
	"-----END PRIVATE KEY-----\n"

#define EC_384_JWK \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-384\"," \
	"\"x\":\"xULHS4pzhy5yvNiExM_uueB_gMBLNsxso1FWfurFqR8i2SK2IImrZfasku19TQiR\"," \
	"\"y\":\"KPGaHJIUrSizWT6bNsLTtyHdWNLz8S6tCPb_5Cq_4WTPP6RqO7y_4UN_OKEm2y5w\""

#define EC_384_JWK_PRIVATE \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-384\"," \
	"\"x\":\"xULHS4pzhy5yvNiExM_uueB_gMBLNsxso1FWfurFqR8i2SK2IImrZfasku19TQiR\"," \
	"\"y\":\"KPGaHJIUrSizWT6bNsLTtyHdWNLz8S6tCPb_5Cq_4WTPP6RqO7y_4UN_OKEm2y5w\"," \
	"\"d\":\"jQI6ZfGAb-u6xhLW2GmbqwSCocWkFccMNCgVHXh5Yqi7Ld9fm9wJAtuZHg9_dcTc\""

#define EC_384_THUMBPRINT \
	"_dRHDx0W8d08WmSbuoKvfHJndmZt6Vtg_23uquSdQvg"

#define TOKEN_ES384 \
	"eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.a1Da0gwJCDvfB8tWDQNrut0Wmcf7wfhaRstk36zAkrLJGp" \
	"PSoplibVFd1JL-pVhHj3AGwmxXSibiMVjiL8vjIxx7a3Mh7o9NJT54KI8vYv5bvMKaggWmPeK29iviMlvg"

#define EC_512_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAIZuClC1rMeytQwecqoawPX88s/no\n" \
	"ZuLELdX0Ei3p3XiJKceT56733BDHBvigSJJnsmAhrG66BPP5WVBisMpGsvcBPMDU\n" \
	"I4w0KPh5ona5WoqPg7WvQbd/sugwXDO9ZuuGMF5Ga8fb+nxo6QLIaOW1fd5jQ491\n" \
	"3TzJROzzJWO3EtwksYc=\n" \
	"-----END PUBLIC KEY-----\n"

#define EC_512_PRIVATE \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBQ/Hiup051/4ZxlY4\n" \
	"fMSTVh0laWy89D8/mZnhjrSzZbHIQd8Zy5KHw3qM1pj4sz8xUMGpUm5JF7r0Z6b5\n" \
	"P5ZYPgahgYkDgYYABAAhm4KULWsx7K1DB5yqhrA9fzyz+ehm4sQt1fQSLendeIkp\n" \
	"x5PnrvfcEMcG+KBIkmeyYCGsbroE8/lZUGKwykay9wE8wNQjjDQo+Hmidrlaio+D\n" \
	"ta9Bt3+y6DBcM71m64YwXkZrx9v6fGjpAsho5bV93mNDj3XdPMlE7PMlY7cS3CSx\n" \
	"hw==\n" \
	"-----END PRIVATE KEY-----\n"

#define EC_512_JWK \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-521\"," \
	"\"x\":\"ACGbgpQtazHsrUMHnKqGsD1_PLP56GbixC3V9BIt6d14iSnHk-eu99wQxwb4oEiSZ7JgIaxuugTz-VlQYrDKRrL3\"," \
	"\"y\":\"ATzA1COMNCj4eaJ2uVqKj4O1r0G3f7LoMFwzvWbrhjBeRmvH2_p8aOkCyGjltX3eY0OPdd08yUTs8yVjtxLcJLGH\""

#define EC_512_JWK_PRIVATE \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-521\"," \
	"\"x\":\"ACGbgpQtazHsrUMHnKqGsD1_PLP56GbixC3V9BIt6d14iSnHk-eu99wQxwb4oEiSZ7JgIaxuugTz-VlQYrDKRrL3\"," \
	"\"y\":\"ATzA1COMNCj4eaJ2uVqKj4O1r0G3f7LoMFwzvWbrhjBeRmvH2_p8aOkCyGjltX3eY0OPdd08yUTs8yVjtxLcJLGH\"," \
	"\"d\":\"AUPx4rqdOdf-GcZWOHzEk1YdJWlsvPQ_P5mZ4Y60s2WxyEHfGcuSh8N6jNaY-LM_MVDBqVJuSRe69Gem-T-WWD4G\""

#define EC_512_THUMBPRINT \
	"SgeZ_RDP1I6nOLgSqD1Fpf4Fmd5zchD86DAEch6ciCo"

#define TOKEN_ES512 \
	"eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTQyIiwiZXhwIjo0MTAyNDQ0ODAwLCJuYmYiOjE3MDAwMDA" \
	"wMDAsImlzcyI6Imh0dHBzOi8vYXBwLmV4YW1wbGUuY29tIiwiYXVkIjoiYmVsZnJ5IiwiYmVsZnJ5Ijp7InN1YnNjcmliZSI6W3s" \
	"idGFncyI6eyJ1c2VyIjoiNDIifX1dLCJvdXRjb21lcyI6dHJ1ZX19.AHCekEhe40KGX-xgWv9nb7bVqeN7IRLptSrfZgBn9JWuQq" \
	"LGpFmt7h4oTmLXatC6Iu8sRRHuSeuRX13R7kXu7CsQAFmI58taFxrN6_IRFeBT_ZuZOeI4A7DYtsaSP14m9_LbINhXhNmcJA414F" \
	"hDd64ysEqJD5uyYqleZ-SUUhsAfx8Z"

#define EC_256_PRIVATE_SEC1 \
	"-----BEGIN EC PRIVATE KEY-----\n" \
	"MHcCAQEEIDESLG6YdR7+XHo5/cVBqJnQyvv+eDFJq2ZXGb5dpK59oAoGCCqGSM49\n" \
	"AwEHoUQDQgAEAxpXSZyoyZSyeZhhSC/oRbi4nmARmUv09OHsNtWAK2XKeS49PAX/\n" \
	"X3HME9r7vGi5P8TEB5BecuaSfrnClbhYbw==\n" \
	"-----END EC PRIVATE KEY-----\n"

#define SECP256K1_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEca8UPdJ2yqbGH0mNLzwyTMqwxzR0PwZE\n" \
	"TJJ9t34JkpfJho/1GhtO1t2sykDSciumDICF2UiFKKL8nI6cOt651w==\n" \
	"-----END PUBLIC KEY-----\n"

#define SECP256K1_JWK \
	"\"kty\":\"EC\"," \
	"\"crv\":\"secp256k1\"," \
	"\"x\":\"ca8UPdJ2yqbGH0mNLzwyTMqwxzR0PwZETJJ9t34Jkpc\"," \
	"\"y\":\"yYaP9RobTtbdrMpA0nIrpgyAhdlIhSii_JyOnDreudc\""

#define ED25519_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MCowBQYDK2VwAyEA+p1DqQqOwukJh17y88AzUDociDzPXN9IzUl88z54bTo=\n" \
	"-----END PUBLIC KEY-----\n"

#define ED25519_JWK \
	"\"kty\":\"OKP\"," \
	"\"crv\":\"Ed25519\"," \
	"\"x\":\"-p1DqQqOwukJh17y88AzUDociDzPXN9IzUl88z54bTo\""

#define RFC7515_A3_JWK_PRIVATE \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-256\"," \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"," \
	"\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""

#define RFC7515_A1_JWK \
	"\"kty\":\"oct\"," \
	"\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\""

#define RFC7515_A1 \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9" \
	"leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

#define RFC7515_A2_JWK \
	"\"kty\":\"RSA\"," \
	"\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4" \
	"d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs" \
	"LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NA" \
	"co9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"," \
	"\"e\":\"AQAB\""

#define RFC7515_A2 \
	"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19" \
	"yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt" \
	"_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb" \
	"1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI" \
	"8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"

#define RFC7515_A3_JWK \
	"\"kty\":\"EC\"," \
	"\"crv\":\"P-256\"," \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""

#define RFC7515_A3 \
	"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19" \
	"yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU" \
	"1Q"

#define RFC7520_4_1_JWK \
	"\"kty\":\"RSA\"," \
	"\"kid\":\"bilbo.baggins@hobbiton.example\"," \
	"\"use\":\"sig\"," \
	"\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmS" \
	"CpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6c" \
	"S6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mz" \
	"SnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\"," \
	"\"e\":\"AQAB\""

#define RFC7520_4_1 \
	"eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ" \
	"1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24" \
	"ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRj" \
	"dkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wn" \
	"B-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadn" \
	"HXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ" \
	"41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"

#define RFC7520_4_2_JWK \
	"\"kty\":\"RSA\"," \
	"\"kid\":\"bilbo.baggins@hobbiton.example\"," \
	"\"use\":\"sig\"," \
	"\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmS" \
	"CpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6c" \
	"S6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mz" \
	"SnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\"," \
	"\"e\":\"AQAB\""

#define RFC7520_4_2 \
	"eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ" \
	"1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24" \
	"ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu2" \
	"2eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo" \
	"6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTr" \
	"xUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTO" \
	"cbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"

#define RFC7520_4_3_JWK \
	"\"kty\":\"EC\"," \
	"\"kid\":\"bilbo.baggins@hobbiton.example\"," \
	"\"use\":\"sig\"," \
	"\"crv\":\"P-521\"," \
	"\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\"," \
	"\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1\""

#define RFC7520_4_3 \
	"eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ" \
	"1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24" \
	"ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.AE_" \
	"R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDD" \
	"yYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"

#define RFC7520_4_4_JWK \
	"\"kty\":\"oct\"," \
	"\"kid\":\"018c0ae5-4d9b-471b-bfd6-eef314bc7037\"," \
	"\"use\":\"sig\"," \
	"\"alg\":\"HS256\"," \
	"\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\""

#define RFC7520_4_4 \
	"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2V" \
	"yb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHl" \
	"vdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB" \
	"0by4.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"

#define RFC7638_JWK \
	"\"kty\":\"RSA\"," \
	"\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP" \
	"ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic" \
	"AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPks" \
	"INHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"," \
	"\"e\":\"AQAB\"," \
	"\"alg\":\"RS256\"," \
	"\"kid\":\"2011-04-29\""

/* of a P-256 public key */
#define DER_THAT_ENDS_IN_10 \
	"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03" \
	"\x42\x00\x04\xc7\xcd\x5d\x30\x2d\xd4\x31\x0d\xd1\x93\xb9\xd9\xea\x8e\x63\xa3\xf3\x09\x6e\x14\xd8" \
	"\xf3\x7d\xc4\x2d\xbd\x9e\x66\x73\x20\x22\x51\xda\xb0\xac\xdf\x6f\x8e\xb0\x7b\xf9\xfb\x36\xfd\x54" \
	"\xb9\x8f\x5f\xeb\xdd\x3d\x21\x64\x7d\x84\xb5\x45\x93\x22\x2d\xb1\xbc\x22\x0a"

#endif
